//! What the broker does to MessagePack that it does not decode: find where a value ends, and prove that it is well-formed.

use rmp::Marker;

use crate::limits::MAX_DEPTH;

/// Why a byte string is not one MessagePack value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends inside a value.
    #[error("the frame ends inside a value")]
    Truncated,
    /// It nests deeper than [`MAX_DEPTH`].
    #[error("the payload nests deeper than 64 levels")]
    TooDeep,
    /// It has the one marker that MessagePack never uses.
    #[error("0xc1 is no MessagePack marker")]
    Reserved,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// Bytes follow the value.
    #[error("bytes follow the last value")]
    Trailing,
}

/// The length in bytes of the MessagePack value that `bytes` begins with.
///
/// # Errors
/// [`Malformed`] when there is no complete, well-formed value of at most [`MAX_DEPTH`] levels. Never reads past `bytes`
/// and allocates nothing, whatever lengths the bytes claim.
pub fn value_len(bytes: &[u8]) -> Result<usize, Malformed> {
    len_within(bytes, MAX_DEPTH)
}

/// Checks that `bytes` is exactly one value.
///
/// # Errors
/// As [`value_len`], and [`Malformed::Trailing`].
pub fn check(bytes: &[u8]) -> Result<(), Malformed> {
    check_within(bytes, MAX_DEPTH)
}

/// Checks that `bytes` is exactly one value of at most `depth` levels, which is no more than [`MAX_DEPTH`].
///
/// # Errors
/// As [`check`].
pub fn check_within(bytes: &[u8], depth: usize) -> Result<(), Malformed> {
    whole(bytes, len_within(bytes, depth.min(MAX_DEPTH))?)
}

/// Checks that `bytes` is exactly one frame: a value whose elements may be as deep as [`value_len`] allows.
///
/// # Errors
/// As [`check`].
pub fn check_frame(bytes: &[u8]) -> Result<(), Malformed> {
    whole(bytes, len_within(bytes, MAX_DEPTH + 1)?)
}

/// Levels that any frame may have: what a frame between broker and worker has around values that may be nearly as deep as payloads.
pub(crate) const MAX_LEVELS: usize = MAX_DEPTH + 6;

/// Whether a well-formed value holds an extension type anywhere, the one thing in MessagePack that has no JSON form at all.
pub fn holds_extension(bytes: &[u8]) -> bool {
    let mut scan = Scan { rest: bytes };
    // What a container holds follows it, so that one pass over all markers sees everything.
    while let Some(marker) = scan.rest.first() {
        if matches!(marker, 0xc7..=0xc9 | 0xd4..=0xd8) {
            return true;
        }
        if scan.value().is_err() {
            return false;
        }
    }
    false
}

/// Checks that `bytes` is exactly one value of at most `levels` levels, which is no more than [`MAX_LEVELS`].
pub(crate) fn check_levels(bytes: &[u8], levels: usize) -> Result<(), Malformed> {
    whole(bytes, len_within(bytes, levels.min(MAX_LEVELS))?)
}

/// The length of the first value in what was found to be well-formed already, however deep.
pub(crate) fn next_len(checked: &[u8]) -> Result<usize, Malformed> {
    match checked {
        // A small number, as most fields of a frame are.
        [0..=0x7f, ..] => Ok(1),
        _ => len_within(checked, MAX_LEVELS),
    }
}

fn whole(bytes: &[u8], len: usize) -> Result<(), Malformed> {
    if len == bytes.len() { Ok(()) } else { Err(Malformed::Trailing) }
}

/// Levels of nearly all messages, the outermost value included: to clear the place for all that may be would take longer than to read one.
/// What is deeper is read again.
const SHALLOW: usize = 8;

fn len_within(bytes: &[u8], max_depth: usize) -> Result<usize, Malformed> {
    match len_on::<SHALLOW>(bytes, max_depth.min(SHALLOW - 1)) {
        Err(Malformed::TooDeep) if max_depth >= SHALLOW => len_on::<{ MAX_LEVELS + 1 }>(bytes, max_depth),
        len => len,
    }
}

fn len_on<const LEVELS: usize>(bytes: &[u8], max_depth: usize) -> Result<usize, Malformed> {
    let mut scan = Scan { rest: bytes };
    // How many values are still owed on each open level; the outermost owes the one that is measured.
    let mut owed = [0u64; LEVELS];
    owed[0] = 1;
    let mut depth = 0;
    loop {
        while owed[depth] == 0 {
            if depth == 0 {
                return Ok(bytes.len() - scan.rest.len());
            }
            depth -= 1;
        }
        owed[depth] -= 1;
        if let Some(children) = scan.value()? {
            if depth == max_depth {
                return Err(Malformed::TooDeep);
            }
            depth += 1;
            owed[depth] = children;
        }
    }
}

struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    /// Steps over one marker and its own bytes; returns how many values an array or a map holds.
    fn value(&mut self) -> Result<Option<u64>, Malformed> {
        match Marker::from_u8(self.take(1)?[0]) {
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => Ok(None),
            Marker::U8 | Marker::I8 => self.leaf(1),
            Marker::U16 | Marker::I16 => self.leaf(2),
            Marker::U32 | Marker::I32 | Marker::F32 => self.leaf(4),
            Marker::U64 | Marker::I64 | Marker::F64 => self.leaf(8),
            Marker::FixStr(n) => self.text(u64::from(n)),
            Marker::Str8 => self.uint(1).and_then(|n| self.text(n)),
            Marker::Str16 => self.uint(2).and_then(|n| self.text(n)),
            Marker::Str32 => self.uint(4).and_then(|n| self.text(n)),
            Marker::Bin8 => self.uint(1).and_then(|n| self.leaf(n)),
            Marker::Bin16 => self.uint(2).and_then(|n| self.leaf(n)),
            Marker::Bin32 => self.uint(4).and_then(|n| self.leaf(n)),
            Marker::FixExt1 => self.leaf(2),
            Marker::FixExt2 => self.leaf(3),
            Marker::FixExt4 => self.leaf(5),
            Marker::FixExt8 => self.leaf(9),
            Marker::FixExt16 => self.leaf(17),
            Marker::Ext8 => self.uint(1).and_then(|n| self.leaf(n + 1)),
            Marker::Ext16 => self.uint(2).and_then(|n| self.leaf(n + 1)),
            Marker::Ext32 => self.uint(4).and_then(|n| self.leaf(n + 1)),
            Marker::FixArray(n) => Ok(Some(u64::from(n))),
            Marker::Array16 => self.uint(2).map(Some),
            Marker::Array32 => self.uint(4).map(Some),
            Marker::FixMap(n) => Ok(Some(2 * u64::from(n))),
            Marker::Map16 => Ok(Some(2 * self.uint(2)?)),
            Marker::Map32 => Ok(Some(2 * self.uint(4)?)),
            Marker::Reserved => Err(Malformed::Reserved),
        }
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8], Malformed> {
        let n = usize::try_from(n).map_err(|_| Malformed::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(Malformed::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn leaf(&mut self, n: u64) -> Result<Option<u64>, Malformed> {
        self.take(n).map(|_| None)
    }

    fn text(&mut self, n: u64) -> Result<Option<u64>, Malformed> {
        let text = self.take(n)?;
        // Names and keys are short and nearly always ASCII, which is seen without a call.
        match text.is_ascii() || std::str::from_utf8(text).is_ok() {
            true => Ok(None),
            false => Err(Malformed::NotUtf8),
        }
    }

    fn uint(&mut self, n: u64) -> Result<u64, Malformed> {
        Ok(self.take(n)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_end_of_nested_values() {
        let bytes = rmp_serde::to_vec_named(&serde_json::json!({"a": [1, -2, 3.5, "x", null, {"b": []}]})).unwrap();
        let mut longer = bytes.clone();
        longer.push(7);
        assert_eq!(value_len(&longer), Ok(bytes.len()));
        assert_eq!(check(&longer), Err(Malformed::Trailing));
        for cut in 0..bytes.len() {
            assert_eq!(value_len(&bytes[..cut]), Err(Malformed::Truncated), "cut at {cut}");
        }
    }

    #[test]
    fn refuses_bombs() {
        assert_eq!(value_len(&[0xdd, 0xff, 0xff, 0xff, 0xff]), Err(Malformed::Truncated));
        assert_eq!(value_len(&[0xc6, 0xff, 0xff, 0xff, 0xff, 1]), Err(Malformed::Truncated));
        assert_eq!(value_len(&[0x91; 4096]), Err(Malformed::TooDeep));
        assert_eq!(value_len(&[0xa1, 0xff]), Err(Malformed::NotUtf8));
        assert_eq!(value_len(&[0xc1]), Err(Malformed::Reserved));
    }

    /// A value inside so many arrays.
    fn nested(levels: usize, value: u8) -> Vec<u8> {
        let mut bytes = vec![0x91; levels];
        bytes.push(value);
        bytes
    }

    #[test]
    fn allows_the_stated_depth() {
        assert_eq!(check(&nested(MAX_DEPTH, 0)), Ok(()));
        assert_eq!(check(&nested(MAX_DEPTH + 1, 0)), Err(Malformed::TooDeep));
        assert_eq!(check(&nested(MAX_DEPTH - 1, 0x90)), Ok(()));
        assert_eq!(check(&nested(MAX_DEPTH, 0x90)), Err(Malformed::TooDeep), "an empty array is a level too");
        assert_eq!(check(&nested(MAX_DEPTH, 0x80)), Err(Malformed::TooDeep), "an empty map is a level too");
    }

    #[test]
    fn every_depth_is_told_from_the_next() {
        for allowed in 0..=MAX_DEPTH {
            for levels in (0..=2 * SHALLOW).chain(allowed.saturating_sub(1)..=allowed + 1) {
                let fits = |bytes: &[u8], levels| {
                    assert_eq!(
                        check_within(bytes, allowed),
                        if levels <= allowed { Ok(()) } else { Err(Malformed::TooDeep) }
                    );
                };
                fits(&nested(levels, 0), levels);
                fits(&nested(levels, 0x90), levels + 1);
                // One of two values is deep, and whatever is wrong comes behind it.
                let with = |tail: &[u8]| [&[0x92], &nested(levels, 0)[..], tail].concat();
                fits(&with(&[0]), levels + 1);
                if levels < allowed {
                    assert_eq!(check_within(&with(&[]), allowed), Err(Malformed::Truncated));
                    assert_eq!(check_within(&with(&[0xc1]), allowed), Err(Malformed::Reserved));
                    assert_eq!(check_within(&with(&[0xa1, 0xff]), allowed), Err(Malformed::NotUtf8));
                    assert_eq!(check_within(&with(&[0, 0]), allowed), Err(Malformed::Trailing));
                }
            }
        }
    }

    #[test]
    fn a_frame_is_one_level_around_its_fields() {
        assert_eq!(check_frame(&nested(MAX_DEPTH + 1, 0)), Ok(()));
        assert_eq!(check_frame(&nested(MAX_DEPTH + 2, 0)), Err(Malformed::TooDeep));
        assert_eq!(check_frame(&[0x90, 0]), Err(Malformed::Trailing));
    }
}
