//! The page's files, inside this program.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// One embedded file.
pub struct Asset {
    /// Name under `/assets/`.
    pub name: &'static str,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The file.
    pub bytes: &'static [u8],
}

/// Every file beside the page itself.
pub static ASSETS: &[Asset] = &[
    Asset {
        name: "app.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: crate::report::page::APP.as_bytes(),
    },
    Asset {
        name: "style.css",
        content_type: "text/css; charset=utf-8",
        bytes: crate::report::page::STYLE.as_bytes(),
    },
    Asset { name: "inter.woff2", content_type: "font/woff2", bytes: crate::report::page::FONT },
    Asset { name: "icon.svg", content_type: "image/svg+xml", bytes: crate::report::page::ICON.as_bytes() },
];

/// The page itself.
pub static INDEX: Asset = Asset {
    name: "",
    content_type: "text/html; charset=utf-8",
    bytes: crate::report::page::INDEX.as_bytes(),
};

impl Asset {
    /// The file, or "not modified" where the browser holds this very version. Browsers ask each time and
    /// get no body: an upgraded daemon never meets an old page.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let tag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(self.bytes));
        let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let mut response = match known {
            Some(tags) if tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) => {
                StatusCode::NOT_MODIFIED.into_response()
            }
            _ => ([(header::CONTENT_TYPE, self.content_type)], self.bytes).into_response(),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}
