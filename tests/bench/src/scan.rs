//! A forward reader over one MessagePack frame, borrowing from it.
//!
//! It knows MessagePack, not the frames. Unknown values can be skipped, as the protocol asks of every reader.

use rmp::Marker;
use rmp::decode;

/// What did not have the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "malformed MessagePack: expected {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A cursor over the values of one frame.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// Begins at the first value.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The length of the array that begins here.
    pub fn array(&mut self) -> Result<u32, Malformed> {
        decode::read_array_len(&mut self.rest).map_err(|_| Malformed("an array"))
    }

    /// The length of the map that begins here.
    pub fn map(&mut self) -> Result<u32, Malformed> {
        decode::read_map_len(&mut self.rest).map_err(|_| Malformed("a map"))
    }

    /// An unsigned integer of any width.
    pub fn uint(&mut self) -> Result<u64, Malformed> {
        decode::read_int(&mut self.rest).map_err(|_| Malformed("an unsigned integer"))
    }

    /// A string, not copied.
    pub fn str(&mut self) -> Result<&'a str, Malformed> {
        let len = decode::read_str_len(&mut self.rest).map_err(|_| Malformed("a string"))?;
        std::str::from_utf8(self.take(u64::from(len))?).map_err(|_| Malformed("UTF-8"))
    }

    /// One whole value, as its bytes.
    pub fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.rest;
        self.skip()?;
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// The unread bytes: a payload, when everything before it has been read.
    #[must_use]
    pub fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Passes over one value, whatever it is. Counts what is open instead of recursing, so depth costs no stack.
    pub fn skip(&mut self) -> Result<(), Malformed> {
        let mut open: u64 = 1;
        while open > 0 {
            open -= 1;
            let marker = decode::read_marker(&mut self.rest).map_err(|_| Malformed("a value"))?;
            open += self.skip_scalar(marker)?;
        }
        Ok(())
    }

    /// Passes over what follows `marker`, but for the values inside it, whose number is returned.
    fn skip_scalar(&mut self, marker: Marker) -> Result<u64, Malformed> {
        let bytes = match marker {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => 0,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixStr(len) => u64::from(len),
            Marker::Str8 | Marker::Bin8 => self.length(1)?,
            Marker::Str16 | Marker::Bin16 => self.length(2)?,
            Marker::Str32 | Marker::Bin32 => self.length(4)?,
            Marker::FixArray(len) => return Ok(u64::from(len)),
            Marker::Array16 => return self.length(2),
            Marker::Array32 => return self.length(4),
            Marker::FixMap(len) => return Ok(2 * u64::from(len)),
            Marker::Map16 => return Ok(2 * self.length(2)?),
            Marker::Map32 => return Ok(2 * self.length(4)?),
            _ => return Err(Malformed("a value other than an extension")),
        };
        self.take(bytes)?;
        Ok(0)
    }

    fn length(&mut self, width: u64) -> Result<u64, Malformed> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).map_err(|_| Malformed("a length that fits"))?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed("more bytes"))?;
        self.rest = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_nested_values_of_every_kind() {
        let mut bytes = Vec::new();
        rmp::encode::write_map_len(&mut bytes, 2).unwrap();
        rmp::encode::write_str(&mut bytes, "list").unwrap();
        rmp::encode::write_array_len(&mut bytes, 4).unwrap();
        rmp::encode::write_uint(&mut bytes, 70_000).unwrap();
        rmp::encode::write_f64(&mut bytes, 0.5).unwrap();
        rmp::encode::write_nil(&mut bytes).unwrap();
        rmp::encode::write_bin(&mut bytes, &[0; 300]).unwrap();
        rmp::encode::write_uint(&mut bytes, 3).unwrap();
        rmp::encode::write_str(&mut bytes, &"x".repeat(40)).unwrap();
        let whole = bytes.len();
        rmp::encode::write_uint(&mut bytes, 7).unwrap();

        let mut scan = Scan::new(&bytes);
        assert_eq!(scan.raw().unwrap().len(), whole);
        assert_eq!(scan.uint(), Ok(7));
        assert!(scan.rest().is_empty());
    }

    #[test]
    fn a_cut_value_is_an_error_at_every_length() {
        let mut bytes = Vec::new();
        rmp::encode::write_array_len(&mut bytes, 2).unwrap();
        rmp::encode::write_str(&mut bytes, "hello").unwrap();
        rmp::encode::write_uint(&mut bytes, 1 << 40).unwrap();
        for cut in 0..bytes.len() {
            assert!(Scan::new(&bytes[..cut]).skip().is_err(), "cut at {cut}");
        }
        assert!(Scan::new(&bytes).skip().is_ok());
    }

    #[test]
    fn a_huge_announced_length_does_not_allocate() {
        assert!(Scan::new(&[0xdd, 0xff, 0xff, 0xff, 0xff]).skip().is_err());
        assert!(Scan::new(&[0xdb, 0xff, 0xff, 0xff, 0xff]).str().is_err());
    }
}
