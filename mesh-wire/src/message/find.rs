//! How nodes find each other. `spec/3-finding.md`.

use crate::codec::List;
use crate::{Token, layout, limits};

layout! {
    /// Somebody is here. Sent to everyone on one local network, in clear.
    pub struct Beacon {
        /// Versions of the protocol the sender speaks, ascending.
        versions: List<u8, { limits::VERSIONS }>,
        /// The sender, for this epoch.
        token: Token,
        /// Where it takes TCP connections, at the address the beacon came from.
        tcp_port: PortNumber,
    }
}

/// A port of 1024 or above.
// spec: FIND-3
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortNumber(u16);

impl PortNumber {
    /// `None` for a port below 1024: no neighbour can make us dial a system service.
    #[must_use]
    pub const fn new(port: u16) -> Option<Self> {
        if port >= 1024 { Some(Self(port)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl crate::Wire for PortNumber {
    const MIN_SIZE: usize = 2;

    fn size(&self) -> usize {
        2
    }

    fn write(&self, out: &mut crate::codec::Output) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn read(reader: &mut crate::codec::Reader) -> Result<Self, crate::DecodeError> {
        let port = u16::from_be_bytes(reader.array()?);
        Self::new(port).ok_or_else(|| reader.error(crate::codec::Problem::Undefined))
    }
}

#[cfg(test)]
mod tests {
    use super::PortNumber;
    use crate::{Wire, codec::Reader};

    // spec: FIND-3
    #[test]
    fn ports_below_1024_are_refused() {
        for (bytes, expected) in [([0x03, 0xff], None), ([0x04, 0x00], PortNumber::new(1024))] {
            assert_eq!(PortNumber::read(&mut Reader::new(bytes.to_vec().into())).ok(), expected);
        }
    }
}
