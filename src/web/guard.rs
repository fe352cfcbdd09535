//! What every request must pass and every answer carries.
//!
//! A page on some other site can make the user's browser send requests to loopback. It cannot read the
//! answers, unless it points its own name at 127.0.0.1 after it was loaded (DNS rebinding): then the
//! browser holds both for one site. The Host header still carries the other site's name, so requests for
//! names that are not ours are refused.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::Standing;
use super::app::{Live, Site};
use crate::telemetry::{Event, RequestRefused};

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

/// What supervisors ask: kubelets, load balancers and service managers carry no token, and a probe that is
/// refused would have the daemon started again and again.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Marks a probe of somebody who may not read: the answer is the status and no word about why.
#[derive(Clone, Copy, Debug)]
pub struct StatusOnly;

/// Refuses foreign hosts, too many, strangers and changes without a token; adds the security headers.
pub async fn guard(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let live = site.live.borrow().clone();
    let path = request.uri().path().to_owned();
    let is_probe = PROBES.contains(&path.as_str()) && matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = match refusal(&live, request.headers(), request.method()).await {
        None => next.run(request).await,
        Some(Refusal::Stranger | Refusal::TooMany) if is_probe => {
            request.extensions_mut().insert(StatusOnly);
            next.run(request).await
        }
        Some(refusal) => refusal.into_response(),
    };
    if let Some(error) = reason(response.status()) {
        RequestRefused { path: &path, error }.emit(&site.counters);
    }
    let own = HEADERS.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
    for (name, value) in live.access.headers().iter().cloned().chain(own) {
        response.headers_mut().entry(name).or_insert(value);
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A request that is not served.
enum Refusal {
    Host,
    TooMany,
    Stranger,
    ChangesAreOff,
    NoChanger,
}

async fn refusal(live: &Live, headers: &HeaderMap, method: &Method) -> Option<Refusal> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
    if !host.is_none_or(|host| is_ours(host, &live.hosts)) {
        return Some(Refusal::Host);
    }
    if !live.access.admit(Instant::now()) {
        return Some(Refusal::TooMany);
    }
    let standing = live.access.standing(headers).await;
    if standing == Standing::Nobody {
        return Some(Refusal::Stranger);
    }
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    match () {
        () if !changes || standing == Standing::Changer => None,
        () if live.access.has_change_tokens() => Some(Refusal::NoChanger),
        () => Some(Refusal::ChangesAreOff),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let ask = |challenge| [(header::WWW_AUTHENTICATE, challenge)];
        match self {
            Self::Host => {
                let text =
                    "this name is not one that weighbridge serves; add it under web.hosts to allow it\n";
                (StatusCode::MISDIRECTED_REQUEST, text).into_response()
            }
            Self::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too many requests\n").into_response(),
            Self::Stranger => {
                let text = "a password or token is needed\n";
                (StatusCode::UNAUTHORIZED, ask("Basic realm=\"weighbridge\""), text).into_response()
            }
            Self::NoChanger => {
                let text = "changes need a token: Authorization: Bearer …\n";
                (StatusCode::UNAUTHORIZED, ask("Bearer realm=\"changes\""), text).into_response()
            }
            Self::ChangesAreOff => {
                let text = "changes are off; web.change_token_file in the configuration turns them on\n";
                (StatusCode::FORBIDDEN, text).into_response()
            }
        }
    }
}

/// What a status says in the log, where it is a refusal.
fn reason(status: StatusCode) -> Option<&'static str> {
    Some(match status {
        StatusCode::MISDIRECTED_REQUEST => "host name is not ours",
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::UNAUTHORIZED => "no right password or token",
        StatusCode::FORBIDDEN => "changes are off",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is too long",
        StatusCode::GATEWAY_TIMEOUT => "took too long",
        _ => return None,
    })
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
