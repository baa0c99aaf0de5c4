//! Where a transport can dial: `tcp://192.0.2.7:4001`.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;

use thiserror::Error;

use crate::limits;

/// An address in the form `transport://rest`, printable ASCII, at most
/// [`limits::ADDRESS_BYTES`] bytes. Only the transport it names understands the rest.
// spec: WIRE-11
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Box<str>);

impl Address {
    /// The address of a socket under the transport called `transport`.
    #[must_use]
    pub fn socket(transport: &str, at: SocketAddr) -> Self {
        Self(alloc::format!("{transport}://{at}").into_boxed_str())
    }

    /// The transport's name: what stands before `://`.
    #[must_use]
    pub fn transport(&self) -> &str {
        self.0.split_once("://").map_or("", |(transport, _)| transport)
    }

    /// What stands after `://`.
    #[must_use]
    pub fn rest(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// The rest as an IP address and port, if that is what it is.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.rest().parse().ok()
    }
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not an address: write it as tcp://192.0.2.7:4001 or tcp://[2001:db8::7]:4001")]
pub struct BadAddress(Box<str>);

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.chars().take(limits::ADDRESS_BYTES).collect());
        let (transport, rest) = text.split_once("://").ok_or_else(bad)?;
        let plain = |c: u8| c.is_ascii_graphic();
        let named = !transport.is_empty() && transport.bytes().all(|c| c.is_ascii_alphanumeric());
        if !named
            || rest.is_empty()
            || !rest.bytes().all(plain)
            || text.len() > limits::ADDRESS_BYTES
        {
            return Err(bad());
        }
        Ok(Self(text.to_owned().into_boxed_str()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};

    // spec: WIRE-11
    #[test]
    fn addresses_read_what_they_write_and_refuse_the_rest() {
        for good in ["tcp://192.0.2.7:4001", "tcp://[fe80::1%3]:9", "ble://aa:bb"] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good);
        }
        let long = String::from("tcp://") + &"a".repeat(limits::ADDRESS_BYTES);
        for bad in ["", "tcp", "://x", "tcp://", "t cp://x", "tcp://a b", "tcp://\u{e9}", &long] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }
}
