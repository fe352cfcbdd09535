//! An answer that is kept as it is sent, packed too: what is sent again need not be packed again.

use std::io::Write;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

/// Shorter answers are not worth packing.
const PACKED_BYTES_MIN: usize = 1 << 10;

/// JSON, plain and where it is worth it packed.
#[derive(Clone, Debug)]
pub struct Sent {
    plain: Bytes,
    packed: Option<Bytes>,
}

impl Sent {
    /// Writes the value down.
    pub fn new(value: &impl Serialize) -> serde_json::Result<Self> {
        let plain = serde_json::to_vec(value)?;
        let packed = if plain.len() < PACKED_BYTES_MIN { None } else { pack(&plain).ok().map(Bytes::from) };
        Ok(Self { plain: plain.into(), packed })
    }

    /// Bytes in memory.
    pub fn size_bytes(&self) -> usize {
        self.plain.len() + self.packed.as_ref().map_or(0, Bytes::len)
    }

    /// The answer to somebody who sent such headers.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match &self.packed {
            Some(packed) if takes_gzip(headers) => {
                let packing = (header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                let differs = (header::VARY, HeaderValue::from_static("accept-encoding"));
                ([json, packing, differs], packed.clone()).into_response()
            }
            _ => ([json], self.plain.clone()).into_response(),
        }
    }
}

fn pack(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(plain)?;
    packer.finish()
}

/// True for those who name it, and do not say by `q=0` that they will not have it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip && !parts.any(|part| part.trim_start_matches("q=").parse() == Ok(0.0))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn asking(encodings: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(encodings))])
    }

    #[test]
    fn only_who_takes_it_gets_it_packed() {
        for (encodings, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("gzip;q=0, br", false),
            ("gzip; q=0.0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&asking(encodings)), takes, "{encodings}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn both_are_the_same() {
        let values: Vec<u32> = (0..5000).collect();
        let sent = Sent::new(&values).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&sent.packed.clone().unwrap()[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, sent.plain);
        assert_eq!(serde_json::from_slice::<Vec<u32>>(&sent.plain).unwrap(), values);
        assert!(sent.packed.as_ref().unwrap().len() < sent.plain.len());
        assert_eq!(sent.answer(&asking("gzip")).headers()[header::CONTENT_ENCODING], "gzip");
        assert!(!sent.answer(&asking("identity")).headers().contains_key(header::CONTENT_ENCODING));
        assert!(Sent::new(&[1]).unwrap().packed.is_none());
    }
}
