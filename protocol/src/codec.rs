//! The two codecs, and frames as a row of fields: [`FrameReader`] and [`FrameWriter`] are the only places that know either.
//!
//! A payload is MessagePack wherever it is held; it becomes JSON, or comes from it, only at the edge of a JSON connection.

use std::fmt;

use bytes::Bytes;
use rmp_serde::encode::Error as EncodeError;
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::frame::TypeRef;
use crate::limits::{MAX_DEPTH, MAX_UINT};
use crate::msgpack::{self, Malformed};

/// How frames are written on a connection, chosen by its sub-protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Binary MessagePack, the default.
    MsgPack,
    /// JSON text.
    Json,
}

impl Codec {
    /// Both codecs, the preferred one first.
    pub const ALL: [Codec; 2] = [Codec::MsgPack, Codec::Json];

    /// The WebSocket sub-protocol that stands for this codec.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::MsgPack => "parlor.v1.msgpack",
            Self::Json => "parlor.v1.json",
        }
    }
}

/// MessagePack for "nothing".
pub const NIL: Bytes = Bytes::from_static(&[0xc0]);

/// Encodes a value the way all payloads are: structures as named maps.
///
/// # Errors
/// When the value has no MessagePack form, as its `Serialize` says.
pub fn to_payload(value: &(impl Serialize + ?Sized)) -> Result<Bytes, EncodeError> {
    // Room for most messages, so that it need not grow step by step.
    let mut out = Vec::with_capacity(128);
    rmp_serde::encode::write_named(&mut out, value)?;
    Ok(out.into())
}

/// Why a payload cannot be written as JSON: an extension type, or a map key that is no text, number or boolean.
#[derive(Debug, thiserror::Error)]
#[error("not representable in JSON: {0}")]
pub struct NotRepresentable(serde_json::Error);

/// Writes a MessagePack payload as JSON. Binary becomes an array of numbers; a number that is not finite becomes null;
/// a map key that is a number or a boolean becomes a text.
///
/// # Errors
/// [`NotRepresentable`].
pub fn json_from_msgpack(payload: &[u8], out: &mut Vec<u8>) -> Result<(), NotRepresentable> {
    if msgpack::holds_extension(payload) {
        return Err(NotRepresentable(serde::ser::Error::custom("an extension type")));
    }
    let mut from = rmp_serde::Deserializer::from_read_ref(payload);
    from.set_max_depth(JSON_DEPTH);
    serde_transcode::transcode(&mut from, &mut serde_json::Serializer::new(out)).map_err(NotRepresentable)
}

/// Nesting at which transcoding stops, the same both ways (`serde_json`'s own limit): far above what a payload may have, far
/// below what a stack can take.
const JSON_DEPTH: usize = 128;

/// Turns JSON text into a MessagePack payload.
///
/// # Errors
/// When the text is not JSON.
pub fn msgpack_from_json(text: &str) -> Result<Bytes, EncodeError> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = serde_json::Deserializer::from_str(text);
    serde_transcode::transcode(&mut from, &mut rmp_serde::Serializer::new(&mut out).with_struct_map())?;
    from.end().map_err(<EncodeError as serde::ser::Error>::custom)?;
    Ok(out.into())
}

/// What is wrong with a field.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The frame as a whole is not an array of well-formed values.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The text is not a JSON array.
    #[error("not a JSON array: {0}")]
    Json(String),
    /// The frame is no array.
    #[error("a frame is an array")]
    NotAnArray,
    /// A field is missing.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field has another type than it should.
    #[error("field `{0}` is not {1}")]
    Wrong(&'static str, &'static str),
    /// An array has more elements than it may have.
    #[error("field `{0}` has more than {1} elements")]
    TooMany(&'static str, u32),
    /// A map field lacks something or has it wrong.
    #[error("field `{0}`: {1}")]
    Map(&'static str, String),
}

/// Reads the fields of one frame, in order.
pub struct FrameReader<'a> {
    form: Form<'a>,
}

enum Form<'a> {
    MsgPack { frame: &'a Bytes, at: usize, left: u32 },
    Json(std::array::IntoIter<Option<&'a RawValue>, MAX_FIELDS>),
}

/// The longest text of an error.
const MAX_TEXT: usize = 256;

/// What an error says, within reason: some repeat all that was sent.
fn brief(error: &impl fmt::Display) -> String {
    struct Brief(String);
    impl fmt::Write for Brief {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let left = text.len().min(MAX_TEXT - self.0.len());
            let end = (0..=left).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            self.0.push_str(&text[..end]);
            if end == text.len() { Ok(()) } else { Err(fmt::Error) }
        }
    }
    let mut brief = Brief(String::new());
    // It ends where it is cut off.
    let _ = fmt::Write::write_fmt(&mut brief, format_args!("{error}"));
    brief.0
}

/// More fields than any frame has.
const MAX_FIELDS: usize = 8;

/// The first fields of a frame. Those behind them are read, as they must be JSON, but not kept: a list of tiny ones would take many
/// times the frame's own size.
struct JsonFields<'a>([Option<&'a RawValue>; MAX_FIELDS]);

impl<'de> Deserialize<'de> for JsonFields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = JsonFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let (mut fields, mut count) = ([None; MAX_FIELDS], 0);
                while let Some(field) = from.next_element()? {
                    if let Some(place) = fields.get_mut(count) {
                        (*place, count) = (Some(field), count + 1);
                    }
                }
                Ok(JsonFields(fields))
            }
        }
        from.deserialize_seq(Fields)
    }
}

/// One field as it stands in the frame.
enum Raw<'a> {
    MsgPack(&'a [u8]),
    Json(&'a str),
}

impl<'a> FrameReader<'a> {
    /// Opens a frame, having checked that all of it is well-formed.
    ///
    /// # Errors
    /// [`FieldError`] when it is not exactly one array.
    pub fn open(codec: Codec, frame: &'a Bytes) -> Result<Self, FieldError> {
        let form = match codec {
            Codec::MsgPack => return Self::open_packed(frame, MAX_DEPTH + 1),
            Codec::Json => {
                let JsonFields(fields) =
                    serde_json::from_slice(frame).map_err(|error| FieldError::Json(brief(&error)))?;
                Form::Json(fields.into_iter())
            }
        };
        Ok(Self { form })
    }

    /// Opens a MessagePack frame of at most so many levels, having checked that all of it is well-formed.
    pub(crate) fn open_packed(frame: &'a Bytes, levels: usize) -> Result<Self, FieldError> {
        msgpack::check_levels(frame, levels)?;
        let mut rest: &[u8] = frame;
        let left = rmp::decode::read_array_len(&mut rest).map_err(|_| FieldError::NotAnArray)?;
        Ok(Self { form: Form::MsgPack { frame, at: frame.len() - rest.len(), left } })
    }

    /// An unsigned integer up to 2^53 - 1.
    ///
    /// # Errors
    /// [`FieldError`] when it is missing or something else.
    pub fn uint(&mut self, name: &'static str) -> Result<u64, FieldError> {
        let value = match self.raw(name)? {
            Raw::MsgPack(mut bytes) => rmp::decode::read_int::<u64, _>(&mut bytes).ok(),
            Raw::Json(text) => text.parse().ok(),
        };
        value.filter(|n| *n <= MAX_UINT).ok_or(not_uint(name))
    }

    /// An unsigned integer that fits in 32 bits.
    ///
    /// # Errors
    /// As [`uint`](Self::uint).
    pub fn uint32(&mut self, name: &'static str) -> Result<u32, FieldError> {
        u32::try_from(self.uint(name)?).map_err(|_| FieldError::Wrong(name, "an unsigned integer below 2^32"))
    }

    /// Anything that serde can make of the field.
    ///
    /// # Errors
    /// [`FieldError`] when it is missing or does not fit.
    pub fn value<T: DeserializeOwned>(&mut self, name: &'static str) -> Result<T, FieldError> {
        match self.raw(name)? {
            Raw::MsgPack(bytes) => rmp_serde::from_slice(bytes).map_err(|e| FieldError::Map(name, brief(&e))),
            Raw::Json(text) => serde_json::from_str(text).map_err(|e| FieldError::Map(name, brief(&e))),
        }
    }

    /// The same, or nil.
    pub(crate) fn uint_or_nil(&mut self, name: &'static str) -> Result<Option<u64>, FieldError> {
        let number: Option<u64> = self.value(name)?;
        if number.is_none_or(|number| number <= MAX_UINT) { Ok(number) } else { Err(not_uint(name)) }
    }

    /// An array of at most `max` elements, in MessagePack. They are counted before memory is spent on them.
    pub(crate) fn list<T: DeserializeOwned>(&mut self, name: &'static str, max: u32) -> Result<Vec<T>, FieldError> {
        if let Form::MsgPack { frame, at, left: 1.. } = &self.form {
            let count = rmp::decode::read_array_len(&mut &frame[*at..]);
            let count = count.map_err(|_| FieldError::Wrong(name, "an array"))?;
            if count > max {
                return Err(FieldError::TooMany(name, max));
            }
        }
        self.value(name)
    }

    /// Binary, in MessagePack: a slice of the frame.
    pub(crate) fn bin(&mut self, name: &'static str) -> Result<Bytes, FieldError> {
        let wrong = FieldError::Wrong(name, "binary");
        let (Raw::MsgPack(mut data), Form::MsgPack { frame, .. }) = (self.raw(name)?, &self.form) else {
            return Err(wrong);
        };
        // What follows the length is the data, since the field is one well-formed value.
        rmp::decode::read_bin_len(&mut data).map_err(|_| wrong)?;
        Ok(frame.slice_ref(data))
    }

    /// A message type, by number or by name.
    ///
    /// # Errors
    /// [`FieldError`] when it is missing or neither.
    pub fn type_ref(&mut self) -> Result<TypeRef, FieldError> {
        let wrong = FieldError::Wrong("type", "a type number or a type name");
        let named = match self.raw("type")? {
            Raw::MsgPack(bytes) => match rmp::decode::read_int::<u32, _>(&mut &*bytes) {
                Ok(number) => return Ok(TypeRef::Number(number)),
                Err(_) => rmp_serde::from_slice(bytes).ok(),
            },
            Raw::Json(text) => match text.parse() {
                Ok(number) => return Ok(TypeRef::Number(number)),
                Err(_) => serde_json::from_str(text).ok(),
            },
        };
        named.map(TypeRef::Name).ok_or(wrong)
    }

    /// The payload as MessagePack: a slice of the frame where it is that already. A payload that is missing is nil.
    ///
    /// # Errors
    /// [`FieldError`] when JSON text has no MessagePack form.
    pub fn payload(&mut self) -> Result<Bytes, FieldError> {
        if let Form::MsgPack { frame, at, left } = &mut self.form {
            if *left == 0 {
                return Ok(NIL);
            }
            let (start, end) = step(frame, at, left)?;
            return Ok(frame.slice(start..end));
        }
        match self.raw("payload") {
            Ok(Raw::Json(text)) => {
                let payload = msgpack_from_json(text).map_err(|e| FieldError::Map("payload", brief(&e)))?;
                msgpack::check(&payload)?;
                Ok(payload)
            }
            _ => Ok(NIL),
        }
    }

    fn raw(&mut self, name: &'static str) -> Result<Raw<'a>, FieldError> {
        match &mut self.form {
            Form::MsgPack { frame, at, left } => {
                if *left == 0 {
                    return Err(FieldError::Missing(name));
                }
                let (start, end) = step(frame, at, left)?;
                Ok(Raw::MsgPack(&frame[start..end]))
            }
            Form::Json(fields) => {
                fields.next().flatten().map(|raw| Raw::Json(raw.get())).ok_or(FieldError::Missing(name))
            }
        }
    }
}

/// Steps over the next field: where it begins and ends. The last one, often the largest, need not be looked through again.
fn step(frame: &Bytes, at: &mut usize, left: &mut u32) -> Result<(usize, usize), FieldError> {
    let start = *at;
    *left -= 1;
    *at = if *left == 0 { frame.len() } else { start + msgpack::next_len(&frame[start..])? };
    Ok((start, *at))
}

fn not_uint(name: &'static str) -> FieldError {
    FieldError::Wrong(name, "an unsigned integer below 2^53")
}

/// Writes one frame, field by field, behind whatever `out` holds already.
pub struct FrameWriter<'a> {
    codec: Codec,
    out: &'a mut Vec<u8>,
    failed: Option<NotRepresentable>,
}

impl<'a> FrameWriter<'a> {
    /// Writes behind whatever `out` holds.
    pub fn new(codec: Codec, out: &'a mut Vec<u8>) -> Self {
        Self { codec, out, failed: None }
    }

    /// Begins a frame of `fields` fields, the op included.
    #[must_use]
    pub fn begin(self, fields: u32, op: u8) -> Self {
        match self.codec {
            Codec::MsgPack => {
                // Writing into a Vec cannot fail.
                let _ = rmp::encode::write_array_len(self.out, fields);
                let _ = rmp::encode::write_uint(self.out, u64::from(op));
            }
            Codec::Json => self.out.extend_from_slice(format!("[{op}").as_bytes()),
        }
        self
    }

    /// An unsigned integer.
    #[must_use]
    pub fn uint(self, n: impl Into<u64>) -> Self {
        let n = n.into();
        match self.codec {
            Codec::MsgPack => {
                let _ = rmp::encode::write_uint(self.out, n);
            }
            Codec::Json => self.out.extend_from_slice(format!(",{n}").as_bytes()),
        }
        self
    }

    /// Anything that serde can write: texts, maps, optional numbers.
    #[must_use]
    pub fn value(mut self, value: &(impl Serialize + ?Sized)) -> Self {
        match self.codec {
            Codec::MsgPack => {
                // Only our own types come here, and they all have a form.
                let _ = value.serialize(&mut rmp_serde::Serializer::new(&mut *self.out).with_struct_map());
            }
            Codec::Json => {
                self.out.push(b',');
                if let Err(error) = serde_json::to_writer(&mut *self.out, value) {
                    self.failed = Some(NotRepresentable(error));
                }
            }
        }
        self
    }

    /// Binary, in MessagePack.
    #[must_use]
    pub(crate) fn bin(self, data: &[u8]) -> Self {
        let _ = rmp::encode::write_bin(self.out, data);
        self
    }

    /// A MessagePack payload, transcoded when the connection speaks JSON.
    #[must_use]
    pub fn payload(mut self, payload: &[u8]) -> Self {
        match self.codec {
            Codec::MsgPack => self.out.extend_from_slice(payload),
            Codec::Json => {
                self.out.push(b',');
                self.failed = json_from_msgpack(payload, self.out).err().or(self.failed);
            }
        }
        self
    }

    /// Ends the frame.
    ///
    /// # Errors
    /// [`NotRepresentable`] when a field has no JSON form; what was written is then to be thrown away.
    pub fn finish(self) -> Result<(), NotRepresentable> {
        if self.codec == Codec::Json {
            self.out.push(b']');
        }
        self.failed.map_or(Ok(()), Err)
    }
}
