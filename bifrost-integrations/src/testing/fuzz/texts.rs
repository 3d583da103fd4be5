//! Texts that may hold secrets, and URLs that may.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bifrost_core::Secret;
use bifrost_core::testing::fuzz::Noise;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::http::classify::excerpt;
use crate::http::redact::{self, Scrubber};

/// What stands in place of a secret.
const MASK: &str = "***";
/// From this many bytes on a secret is looked for.
const TELLING: usize = 6;

/// Makes secrets and a text that holds them from `data`, and takes them out again.
pub fn redaction(data: &[u8]) {
    let mut noise = Noise::new(data);
    let secrets = [noise.text(), noise.text()];
    let cut = usize::from(noise.byte());
    let (one, other) = (&secrets[0], &secrets[1]);
    let mut text = String::new();
    while !noise.is_empty() && text.len() < 4096 {
        match noise.byte() % 8 {
            0 => text.push_str(one),
            1 => text.push_str(other),
            2 => text.push_str(&utf8_percent_encode(one, NON_ALPHANUMERIC).to_string()),
            3 => text.extend(url::form_urlencoded::byte_serialize(other.as_bytes())),
            4 => text.push_str(serde_json::to_string(one).unwrap_or_default().trim_matches('"')),
            5 => text.push_str(&STANDARD.encode(format!("id:{one}"))),
            6 => text.push_str(&URL_SAFE.encode(other)),
            _ => text.push_str(&noise.text()),
        }
    }
    let known = [Secret::new(one.clone()), Secret::new(other.clone())];
    let scrubber = Scrubber::new(&known);
    gone(&scrubber, &secrets, &text);
    // A text that was cut ends in the middle of a secret as easily as anywhere.
    let cut: String = text.chars().take(cut).collect();
    gone(&scrubber, &secrets, &cut);
    gone(&scrubber, &secrets, &excerpt(&text));
    assert!(!format!("{scrubber:?}").contains(one.as_str()) || one.len() < 24);
    addresses(&text);
}

/// Neither a secret nor a telling beginning of one at the end is left, and nothing else is lost.
fn gone(scrubber: &Scrubber, secrets: &[String; 2], text: &str) {
    let clean = scrubber.scrub(text);
    // A secret with stars in it may come about by the masking itself.
    let telling = secrets.iter().filter(|secret| secret.len() >= TELLING && !secret.contains('*'));
    for secret in telling {
        for form in [secret.clone(), utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string()] {
            assert!(!clean.contains(&form), "{form:?} is left in {clean:?}");
            let beginnings = form.char_indices().map(|(at, _)| at).filter(|at| *at >= TELLING);
            for at in beginnings {
                assert!(!clean.ends_with(&form[..at]), "{:?} is left at the end of {clean:?}", &form[..at]);
            }
        }
    }
    let mut rest = text;
    for kept in clean.split(MASK) {
        match rest.find(kept) {
            Some(at) => rest = &rest[at + kept.len()..],
            None => assert!(text.contains('*'), "{kept:?} of {clean:?} is not in {text:?}"),
        }
    }
}

/// A URL is shown without anything that comes after a `?`, a `#` or before an `@`.
fn addresses(text: &str) {
    let Ok(full) = text.parse::<Url>() else { return };
    let shown = redact::url(&full);
    assert!(!shown.contains('#'), "{shown}");
    let values = full.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>();
    let options = shown.split_once('?').map_or("", |(_, options)| options);
    assert!(options.matches("=***").count() >= values.len(), "{shown}");
    assert!(full.password().is_none() || !shown.contains('@') || full.path().contains('@') || options.contains('@'));
}
