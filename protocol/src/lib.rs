//! Parlor's wire types and codecs, without I/O.
