//! How messages are declared: the fields in their order on the wire, nothing else.

/// Declares a struct whose fields are written one after the other.
///
/// ```
/// mesh_wire::layout! {
///     /// A run of groups.
///     pub struct Run {
///         /// The first.
///         first: u64,
///         /// How many.
///         count: u64,
///     }
/// }
/// use mesh_wire::Wire;
/// assert_eq!(&Run { first: 1, count: 64 }.to_bytes()[..], [1, 0x40, 64]);
/// ```
// spec: WIRE-1
#[macro_export]
macro_rules! layout {
    ($(#[$doc:meta])* pub struct $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),* }

        impl $crate::codec::Wire for $name {
            const MIN_SIZE: usize = 0 $(+ <$type as $crate::codec::Wire>::MIN_SIZE)*;

            fn size(&self) -> usize {
                0 $(+ $crate::codec::Wire::size(&self.$field))*
            }

            fn write(&self, out: &mut $crate::codec::Output) {
                let _ = &out;
                $($crate::codec::Wire::write(&self.$field, out);)*
            }

            fn read(
                reader: &mut $crate::codec::Reader,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let _ = &reader;
                Ok(Self {
                    $($field: $crate::codec::Wire::read(
                        reader.at(concat!(stringify!($name), ".", stringify!($field))),
                    )?),*
                })
            }
        }
    };
}

/// Declares an enum of one byte.
// spec: WIRE-8
#[macro_export]
macro_rules! codes {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$code_doc:meta])* $code:ident = $value:literal),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$code_doc])* $code),* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$code),*];
        }

        impl $crate::codec::Wire for $name {
            const MIN_SIZE: usize = 1;

            fn size(&self) -> usize {
                1
            }

            fn write(&self, out: &mut $crate::codec::Output) {
                out.push(match self { $(Self::$code => $value),* });
            }

            fn read(
                reader: &mut $crate::codec::Reader,
            ) -> Result<Self, $crate::codec::DecodeError> {
                match reader.byte()? {
                    $($value => Ok(Self::$code),)*
                    _ => Err(reader.error($crate::codec::Problem::Undefined)),
                }
            }
        }
    };
}

/// Declares the messages of one layer: their kinds and their bodies.
#[macro_export]
macro_rules! messages {
    ($(#[$doc:meta])* pub enum $name:ident {
        $($(#[$body_doc:meta])* $body:ident = $kind:literal),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$body_doc])* $body($body)),* }

        impl $name {
            /// The kinds of this layer.
            pub const KINDS: &'static [(u8, &'static str)] = &[$(($kind, stringify!($body))),*];

            /// The kind that names this message on the wire.
            #[must_use]
            pub fn kind(&self) -> u8 {
                match self { $(Self::$body(_) => $kind),* }
            }

            /// Appends the body.
            pub fn write_body(&self, out: &mut $crate::codec::Output) {
                match self { $(Self::$body(body) => $crate::codec::Wire::write(body, out)),* }
            }

            /// How many bytes the body takes.
            #[must_use]
            pub fn body_size(&self) -> usize {
                match self { $(Self::$body(body) => $crate::codec::Wire::size(body)),* }
            }

            /// Reads the body of a message of kind `kind`; `None` if this layer has none such.
            pub fn read_body(
                kind: u8,
                body: $crate::codec::Bytes,
            ) -> Option<Result<Self, $crate::codec::DecodeError>> {
                match kind {
                    $($kind => Some($crate::codec::Wire::from_bytes(body).map(Self::$body)),)*
                    _ => None,
                }
            }
        }

        impl $crate::codec::Wire for $name {
            const MIN_SIZE: usize = 2;

            fn size(&self) -> usize {
                $crate::message::framed_size(self.body_size())
            }

            fn write(&self, out: &mut $crate::codec::Output) {
                out.push(self.kind());
                $crate::codec::varint::write(self.body_size() as u64, out);
                self.write_body(out);
            }

            fn read(
                reader: &mut $crate::codec::Reader,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let (kind, body) = $crate::message::read_frame(reader)?;
                Self::read_body(kind, body)
                    .unwrap_or(Err(reader.error($crate::codec::Problem::Undefined)))
            }
        }

        $(impl From<$body> for $name {
            fn from(body: $body) -> Self {
                Self::$body(body)
            }
        })*
    };
}
