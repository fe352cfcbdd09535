//! Files and variables that hold the keys of the HTTP side, and Prometheus' web configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::{BYTES_MAX, Error, read};
use crate::web::access::tls::{self, Choices, ClientCertificates};
use crate::web::access::{Keys, Rate, check_hash};

/// Where the keys lie. Nothing here is a secret itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessFiles {
    /// Prometheus' web configuration: TLS, users, headers.
    pub web_config: Option<PathBuf>,
    /// Tokens that may read, one a line.
    pub read_tokens: Option<PathBuf>,
    /// Tokens that may change, one a line.
    pub change_tokens: Option<PathBuf>,
    /// Name of an environment variable that holds a token that may read.
    pub read_variable: Option<String>,
    /// The same for a token that may change.
    pub change_variable: Option<String>,
}

/// Size and time of a file, to see that it was replaced.
pub type Stamp = (PathBuf, Option<(u64, SystemTime)>);

impl AccessFiles {
    /// The same with relative names below the directory of the configuration.
    pub(super) fn below(mut self, directory: &Path) -> Self {
        let files = [&mut self.web_config, &mut self.read_tokens, &mut self.change_tokens];
        files.into_iter().flatten().for_each(|file| *file = directory.join(&file));
        self
    }

    /// Reads everything, and every file that was looked into.
    pub fn keys(&self) -> Result<(Keys, Vec<PathBuf>), Error> {
        let (mut keys, mut files) = match &self.web_config {
            Some(file) => web_config(file)?,
            None => (Keys::default(), Vec::new()),
        };
        keys.read_tokens = tokens(self.read_tokens.as_deref(), self.read_variable.as_deref())?;
        keys.change_tokens = tokens(self.change_tokens.as_deref(), self.change_variable.as_deref())?;
        files.extend(self.read_tokens.iter().chain(&self.change_tokens).cloned());
        Ok((keys, files))
    }
}

/// How the files stand now.
pub fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let metadata = std::fs::metadata(file).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    };
    files.iter().map(|file| (file.clone(), stamp(file))).collect()
}

fn tokens(file: Option<&Path>, variable: Option<&str>) -> Result<Vec<String>, Error> {
    let mut tokens = Vec::new();
    if let Some(file) = file {
        let text = read(file)?;
        tokens.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        if tokens.is_empty() {
            return Err(refusal("holds no token; write one a line", file));
        }
    }
    if let Some(variable) = variable {
        let token = std::env::var(variable).unwrap_or_default().trim().to_owned();
        if token.is_empty() {
            // Without this, a misspelt name would leave the door open.
            let message = format!("web: environment variable {variable} holds no token");
            return Err(Error::Value { path: None, line: None, message });
        }
        tokens.push(token);
    }
    Ok(tokens)
}

fn refusal(message: impl ToString, file: &Path) -> Error {
    Error::Value { path: Some(file.to_owned()), line: None, message: message.to_string() }
}

/// The document. Keys that Prometheus has and this server has no use for are read all the same.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebConfig {
    tls_server_config: Option<TlsServer>,
    http_server_config: Option<HttpServer>,
    basic_auth_users: Option<BTreeMap<String, String>>,
    rate_limit: Option<RateLimit>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TlsServer {
    cert_file: PathBuf,
    key_file: PathBuf,
    client_ca_file: PathBuf,
    cert: String,
    key: String,
    client_ca: String,
    client_auth_type: String,
    client_allowed_sans: Vec<String>,
    cipher_suites: Vec<String>,
    curve_preferences: Vec<String>,
    min_version: String,
    max_version: String,
    /// Go ignores it too.
    prefer_server_cipher_suites: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpServer {
    /// HTTP/1.1 is what is spoken here; every client that speaks HTTP/2 speaks it too.
    http2: Option<bool>,
    headers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RateLimit {
    interval: String,
    burst: u32,
}

/// Reads Prometheus' web configuration file; names in it are relative to its own directory.
fn web_config(file: &Path) -> Result<(Keys, Vec<PathBuf>), Error> {
    let text = read(file)?;
    let nothing = text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    let document: WebConfig = if nothing {
        WebConfig::default()
    } else {
        serde_yaml::from_str(&text).map_err(|error| hide(Error::yaml(&text, error)).in_file(file))?
    };
    let at = |keys: &[&str], message: String| Error::value(&text, keys, message).in_file(file);
    let mut files = vec![file.to_owned()];
    let mut keys = Keys::default();
    for (user, hash) in document.basic_auth_users.unwrap_or_default() {
        // The hash is no secret to print, but may be a password that somebody forgot to hash.
        check_hash(&hash).map_err(|_| {
            at(&["basic_auth_users", &user], "no bcrypt hash; make one with htpasswd -nBC 10 \"\"".to_owned())
        })?;
        keys.users.insert(user, hash);
    }
    if let Some(http) = document.http_server_config {
        let _ = http.http2;
        for (name, value) in http.headers {
            let header = header(&name, &value)
                .map_err(|message| at(&["http_server_config", "headers", &name], message))?;
            keys.headers.push(header);
        }
    }
    if let Some(limit) = document.rate_limit {
        keys.rate = rate(&limit).map_err(|message| at(&["rate_limit"], message))?;
    }
    if let Some(choices) = document.tls_server_config {
        let _ = choices.prefer_server_cipher_suites;
        let directory = file.parent().unwrap_or(Path::new(""));
        let choices = tls_choices(choices, directory, &mut files)
            .map_err(|message| at(&["tls_server_config"], message))?;
        if let Some(choices) = choices {
            keys.tls = Some(tls::build(&choices).map_err(|message| at(&["tls_server_config"], message))?);
        }
    }
    Ok((keys, files))
}

/// serde quotes a value that has the wrong type, which here may be a key or a password.
fn hide(error: Error) -> Error {
    let Error::Value { path, line, message } = error else { return error };
    let message = match (message.find("string \""), message.rfind('"')) {
        (Some(from), Some(to)) if from + 7 < to => {
            format!("{}string (hidden){}", &message[..from], &message[to + 1..])
        }
        _ => message,
    };
    Error::Value { path, line, message }
}

/// The headers that Prometheus lets be set, and the values that it takes.
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let allowed: &[&str] = match name {
        "Content-Security-Policy" | "Strict-Transport-Security" | "X-XSS-Protection" => &[],
        "X-Frame-Options" => &["deny", "sameorigin"],
        "X-Content-Type-Options" => &["nosniff"],
        _ => return Err("this header cannot be set here".to_owned()),
    };
    if !allowed.is_empty() && !allowed.iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return Err(format!("{value:?} is none of {}", allowed.join(", ")));
    }
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
    let value = HeaderValue::from_str(value).map_err(|_| "no header can hold this value".to_owned())?;
    Ok((name, value))
}

fn rate(limit: &RateLimit) -> Result<Option<Rate>, String> {
    if limit.interval.is_empty() || limit.interval == "0" {
        return Ok(None);
    }
    let span: Result<jiff::SignedDuration, _> = limit.interval.parse();
    match span.ok().and_then(|span| Duration::try_from(span).ok()) {
        Some(interval) if interval.is_zero() => Ok(None),
        Some(interval) => Ok(Some(Rate { interval, burst: limit.burst.max(1) })),
        None => Err(format!("interval {:?} is no duration, write for example 1s", limit.interval)),
    }
}

/// None where the section asks for no TLS at all.
fn tls_choices(
    server: TlsServer,
    directory: &Path,
    files: &mut Vec<PathBuf>,
) -> Result<Option<Choices>, String> {
    let clients = ClientCertificates::from_name(&server.client_auth_type)
        .ok_or_else(|| format!("client_auth_type {:?} is not known", server.client_auth_type))?;
    let mut pem = |key: &str, text: &str, name: &Path| -> Result<Option<Vec<u8>>, String> {
        if !text.is_empty() && !name.as_os_str().is_empty() {
            return Err(format!("{key} and {key}_file are both given"));
        }
        if !text.is_empty() {
            return Ok(Some(text.as_bytes().to_vec()));
        }
        if name.as_os_str().is_empty() {
            return Ok(None);
        }
        let path = directory.join(name);
        files.push(path.clone());
        let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        if length > BYTES_MAX {
            return Err(format!("{key}_file {}: {length} bytes are too many", path.display()));
        }
        std::fs::read(&path).map(Some).map_err(|error| format!("{key}_file {}: {error}", path.display()))
    };
    let certificate = pem("cert", &server.cert, &server.cert_file)?;
    let key = pem("key", &server.key, &server.key_file)?;
    let client_authorities = pem("client_ca", &server.client_ca, &server.client_ca_file)?;
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if clients == ClientCertificates::No && client_authorities.is_none() => return Ok(None),
        (Some(_), None) => return Err("key_file is missing".to_owned()),
        _ => return Err("cert_file is missing".to_owned()),
    };
    let verifies =
        matches!(clients, ClientCertificates::VerifyIfGiven | ClientCertificates::RequireAndVerify);
    if client_authorities.is_some() && !verifies {
        return Err("client_ca_file needs a client_auth_type that verifies".to_owned());
    }
    Ok(Some(Choices {
        certificate,
        key,
        clients,
        client_authorities,
        client_names: server.client_allowed_sans,
        minor_min: minor(&server.min_version, 2)?,
        minor_max: minor(&server.max_version, 3)?,
        cipher_suites: server.cipher_suites,
        curves: server.curve_preferences,
    }))
}

/// Minor version of TLS 1.x. What is older than 1.2 is not spoken, so asking for at least that means 1.2.
fn minor(name: &str, default: u8) -> Result<u8, String> {
    match name {
        "" => Ok(default),
        "TLS10" | "TLS11" if default == 2 => Ok(2),
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        _ => Err(format!("version {name:?} is none of TLS12, TLS13")),
    }
}
