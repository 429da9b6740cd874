//! The compression of the Redirect binding (RFC 1951).

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;

pub(super) fn deflated(text: &str) -> Vec<u8> {
    compress_to_vec(text.as_bytes(), 6)
}

pub(super) fn inflated(bytes: &[u8]) -> String {
    String::from_utf8(decompress_to_vec(bytes).unwrap()).unwrap()
}
