//! The page's files, inside this program.
//!
//! The page names each file with the tag of its content (`/assets/app.js?v=…`). Under that address a
//! browser keeps the file for good and never asks again; an upgraded daemon names another address, so it
//! never meets an old page.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::report::page;

/// One embedded file.
pub struct Asset {
    /// Name under `/assets/`; empty for the page itself.
    name: &'static str,
    /// `Content-Type`.
    content_type: &'static str,
    /// The file.
    bytes: Cow<'static, [u8]>,
    /// Stands for the content.
    tag: String,
}

static FILES: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let icon = Asset::new("icon.svg", "image/svg+xml", page::ICON.as_bytes());
    let font = Asset::new("inter.woff2", "font/woff2", page::FONT);
    let style = Asset::text("style.css", "text/css; charset=utf-8", page::STYLE, &[&font]);
    let app = Asset::text("app.js", "text/javascript; charset=utf-8", page::APP, &[&icon]);
    let index = Asset::text("", "text/html; charset=utf-8", page::INDEX, &[&icon, &font, &style, &app]);
    vec![index, icon, font, style, app]
});

/// The page (no name), or one of its files.
pub fn find(name: &str) -> Option<&'static Asset> {
    FILES.iter().find(|asset| asset.name == name)
}

impl Asset {
    fn new(name: &'static str, content_type: &'static str, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        let tag = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes));
        Self { name, content_type, bytes, tag }
    }

    /// A file that names others: by their tags.
    fn text(name: &'static str, content_type: &'static str, text: &str, named: &[&Self]) -> Self {
        let tagged = named.iter().fold(text.to_owned(), |text, other| {
            let address = format!("/assets/{}", other.name);
            text.replace(&address, &format!("{address}?v={}", other.tag))
        });
        Self::new(name, content_type, tagged.into_bytes())
    }

    /// The file, or "not modified" where the browser holds this very version. `version` is what the
    /// address says; without one the browser asks each time.
    pub fn answer(&self, version: Option<&str>, headers: &HeaderMap) -> Response {
        let tag = format!("\"{}\"", self.tag);
        let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let mut response = match known {
            Some(tags) if tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) => {
                StatusCode::NOT_MODIFIED.into_response()
            }
            _ => ([(header::CONTENT_TYPE, self.content_type)], self.bytes.clone()).into_response(),
        };
        let keep =
            if version == Some(&*self.tag) { "public, max-age=31536000, immutable" } else { "no-cache" };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_file_by_its_content() {
        let index = std::str::from_utf8(&find("").unwrap().bytes).unwrap();
        for name in ["app.js", "style.css", "icon.svg", "inter.woff2"] {
            let named = format!("/assets/{name}?v={}", find(name).unwrap().tag);
            assert!(index.contains(&named), "{named}");
        }
        let style = std::str::from_utf8(&find("style.css").unwrap().bytes).unwrap();
        assert!(style.contains(&format!("inter.woff2?v={}", find("inter.woff2").unwrap().tag)));
    }

    #[test]
    fn only_the_named_version_is_kept_for_good() {
        let asset = find("app.js").unwrap();
        let control = |version| {
            let answer = asset.answer(version, &HeaderMap::new());
            answer.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert!(control(Some(&asset.tag)).contains("immutable"));
        assert_eq!(control(None), "no-cache");
        assert_eq!(control(Some("0000")), "no-cache");
    }
}
