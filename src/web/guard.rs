//! What every request must pass and every answer carries.
//!
//! A page on some other site can make the user's browser send requests to loopback. It cannot read the
//! answers, unless it points its own name at 127.0.0.1 after it was loaded (DNS rebinding): then the
//! browser holds both for one site. The Host header still carries the other site's name, so requests for
//! names that are not ours are refused.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::app::Site;

/// Only our own files may run, style, be shown or be fetched; nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Refuses foreign hosts, adds the security headers.
pub async fn guard(State(app): State<Site>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if host.is_none_or(|host| is_ours(host, &app.settings.hosts)) {
        next.run(request).await
    } else {
        let text = "this name is not one that weighbridge serves; add it under web.hosts to allow it\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Loopback names and bare addresses are ours: rebinding needs a name that the attacker owns.
fn is_ours(host: &str, allowed: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok()
        || allowed.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn foreign_names_are_refused() {
        let allowed = ["weights.lab".to_owned()];
        for host in
            ["localhost:9180", "127.0.0.1:9180", "[::1]:9180", "10.1.2.3", "weights.lab:443", "a.localhost"]
        {
            assert!(is_ours(host, &allowed), "{host}");
        }
        for host in
            ["evil.example:9180", "localhost.evil.example", "127.0.0.1.evil.example", "weights.lab.evil"]
        {
            assert!(!is_ours(host, &allowed), "{host}");
        }
        assert!(is_ours("anything.example", &["*".to_owned()]));
    }
}
