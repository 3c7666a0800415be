//! Recipes behind links: fetched by https alone, small, soon or not at all, and kept by their content.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use ureq::tls::{RootCerts, TlsConfig};

use super::file::MOST;
use crate::atomic;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a link to a pinned recipe ends with, before the hash in hexadecimal digits.
const PIN: &str = "#sha256=";

/// What to do about a page, which shows a recipe at best.
const RAW: &str =
    "link to the YAML file itself, not to a page that shows it: on GitHub, to what `Raw` leads to";

/// Why there is no recipe behind a link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Not an https link.
    #[error("a recipe is fetched by https alone\nhint: `https://…`, or download it and name the file")]
    Scheme,
    /// A hash of another kind.
    #[error(
        "`{found}` is no sha256 hash; expected 64 hexadecimal digits after `{PIN}`\nhint: leave it out to be told it"
    )]
    Pin {
        /// What stands there.
        found: String,
    },
    /// No answer, or not a good one.
    #[error("cannot fetch it: {reason}\nhint: try again later, or download it and name the file")]
    Fetch {
        /// What went wrong.
        reason: String,
    },
    /// A server that is not known to be the one that the link names.
    #[error(
        "cannot fetch it: the server's certificate is refused: {reason}\nhint: look at the address and at this machine's \
         clock; a certificate authority of your own network has to be among the system's, or in the file that \
         `SSL_CERT_FILE` names"
    )]
    Untrusted {
        /// What is wrong with the certificate.
        reason: String,
    },
    /// More than a recipe.
    #[error("it is larger than {} KiB, which no recipe is\nhint: {RAW}", MOST >> 10)]
    TooLarge,
    /// HTML.
    #[error("it is a web page, not a recipe\nhint: {RAW}")]
    Page,
    /// No text.
    #[error("it is no text (UTF-8)\nhint: link to the YAML file itself")]
    NoText,
    /// Not what was pinned.
    #[error(
        "it has changed: its sha256 is {found}; expected {pinned}\nhint: look at what is there now, and pin that if you \
         trust it"
    )]
    Changed {
        /// The hash of what is there now.
        found: String,
        /// The hash in the link.
        pinned: String,
    },
}

/// What was behind a link.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The text.
    pub text: String,
    /// The link with the hash of the text, where the link had none.
    pub to_pin: Option<String>,
}

/// Whether a name is a link, of whatever kind.
pub fn is_link(name: &str) -> bool {
    name.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Gets the text behind `link`. One with a hash is taken from `cache` where it is there, without asking anybody.
///
/// # Errors
/// See [`LinkError`].
pub fn fetch(link: &str, cache: Option<&Path>) -> Result<Fetched, LinkError> {
    let (address, pinned) = match link.split_once(PIN) {
        Some((address, hash)) => (address, Some(hash.to_ascii_lowercase())),
        None => (link, None),
    };
    let is_https = address.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    let Some(rest) = address.get(8..).filter(|_| is_https) else { return Err(LinkError::Scheme) };
    let address = &format!("https://{rest}");
    let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A pin with a slip in it must not count as none.
    if let Some((_, slip)) = address.split_once('#') {
        return Err(LinkError::Pin { found: slip.into() });
    }
    if let Some(found) = pinned.as_ref().filter(|pinned| !is_hash(pinned)) {
        return Err(LinkError::Pin { found: found.clone() });
    }
    let kept = |hash: &str| cache.map(|cache| cache.join(format!("{hash}.yaml")));
    if let Some(pinned) = &pinned {
        let text = kept(pinned).and_then(|path| std::fs::read_to_string(path).ok());
        if let Some(text) = text.filter(|text| hash(text.as_bytes()) == *pinned) {
            return Ok(Fetched { text, to_pin: None });
        }
    }
    let bytes = download(address)?;
    let found = hash(&bytes);
    if let Some(pinned) = pinned.as_ref().filter(|pinned| **pinned != found) {
        return Err(LinkError::Changed { found, pinned: pinned.clone() });
    }
    let text = String::from_utf8(bytes).map_err(|_| LinkError::NoText)?;
    if is_page(&text) {
        return Err(LinkError::Page);
    }
    if let Some(path) = kept(&found) {
        // It can be fetched again, so a full disk is no reason to stop.
        let _ = std::fs::create_dir_all(atomic::folder_of(&path))
            .and_then(|()| atomic::write(&path, text.as_bytes()));
    }
    let to_pin = pinned.is_none().then(|| format!("{address}{PIN}{found}"));
    Ok(Fetched { text, to_pin })
}

/// Where fetched recipes are kept: `$XDG_CACHE_HOME/translate/recipes`, or below `~/.cache`.
pub fn cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let root = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
    root.map(|root| root.join("translate").join("recipes"))
}

/// Whether a text begins as HTML or XML does, and no recipe: `<<` is YAML's.
fn is_page(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with('<') && !text.starts_with("<<")
}

fn hash(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn download(address: &str) -> Result<Vec<u8>, LinkError> {
    // The system's certificates, so that those of a company's own network count too.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .https_only(true)
        .max_redirects(4)
        .timeout_global(Some(PATIENCE))
        .tls_config(tls)
        .user_agent(concat!("translate/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let failed = |error: ureq::Error| match error {
        ureq::Error::BodyExceedsLimit(_) => LinkError::TooLarge,
        ureq::Error::StatusCode(status) => {
            LinkError::Fetch { reason: format!("the server answers {status}") }
        }
        ureq::Error::Timeout(_) => {
            LinkError::Fetch { reason: format!("no whole answer in {} seconds", PATIENCE.as_secs()) }
        }
        ureq::Error::RequireHttpsOnly(to) => {
            LinkError::Fetch { reason: format!("it leads on to what is no https link, `{to}`") }
        }
        error => {
            let reason = error.to_string();
            match reason.split_once("invalid peer certificate: ") {
                Some((_, reason)) => LinkError::Untrusted { reason: reason.into() },
                None => LinkError::Fetch { reason },
            }
        }
    };
    let mut response = agent.get(address).call().map_err(failed)?;
    response.body_mut().with_config().limit(MOST).read_to_vec().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_https_link_or_no_hash_is_refused_without_asking_anybody() {
        assert!(matches!(fetch("http://localhost/r.yaml", None), Err(LinkError::Scheme)));
        assert!(matches!(fetch("file:///etc/passwd", None), Err(LinkError::Scheme)));
        let text = fetch("https://localhost/r.yaml#sha256=12", None).unwrap_err().to_string();
        assert!(text.starts_with("`12` is no sha256 hash"), "{text}");
        let text = fetch("HTTPS://localhost/r.yaml#sha256=12", None).unwrap_err().to_string();
        assert!(text.starts_with("`12` is no sha256 hash"), "{text}");
        for slip in ["#SHA256=00", "#sha-256=00", "#top", "#top#sha256=00"] {
            let refused = fetch(&format!("https://localhost/r.yaml{slip}"), None);
            assert!(matches!(refused, Err(LinkError::Pin { .. })), "{slip}");
        }
        assert!(is_link("https://a/b") && is_link("http://a") && !is_link("./a") && !is_link("C:/a"));
    }

    #[test]
    fn a_pinned_recipe_that_is_kept_needs_no_network() {
        let folder = tempfile::tempdir().unwrap();
        // The standard's own example (FIPS 180-4).
        let pin = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        std::fs::write(folder.path().join(format!("{pin}.yaml")), "abc").unwrap();
        let link = format!("https://nowhere.invalid/r.yaml#sha256={}", pin.to_uppercase());
        let fetched = fetch(&link, Some(folder.path())).unwrap();
        assert_eq!(fetched, Fetched { text: "abc".into(), to_pin: None });
        // What was changed in the cache is not taken.
        std::fs::write(folder.path().join(format!("{pin}.yaml")), "abd").unwrap();
        assert!(matches!(fetch(&link, Some(folder.path())), Err(LinkError::Fetch { .. })));
    }
}
