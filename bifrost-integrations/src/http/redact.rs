//! What may be seen of a request: allow-listed headers, URLs without values, texts without known secrets.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bifrost_core::Secret;
use http::HeaderMap;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// Headers whose values may appear in traces. All others are shown by name alone.
const SHOWN_HEADERS: [&str; 14] = [
    "accept",
    "client-request-id",
    "consistencylevel",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "prefer",
    "request-id",
    "retry-after",
    "x-ms-resource-unit",
    "x-ms-throttle-information",
    "x-ms-throttle-limit-percentage",
    "x-ms-throttle-scope",
];
/// What stands in place of what is not shown.
const MASK: &str = "***";
/// Shorter secrets are not looked for in texts: masking every `a` would show where they are, and hide nothing.
const MIN_SECRET: usize = 6;

/// Headers as a trace may show them.
pub fn headers(headers: &HeaderMap) -> String {
    let shown = headers.iter().map(|(name, value)| {
        let value = value.to_str().ok().filter(|_| SHOWN_HEADERS.contains(&name.as_str()));
        format!("{name}: {}", value.unwrap_or(MASK))
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// A URL as a trace may show it: with the names of its query parameters and without their values, credentials or
/// fragment. The path stays, and may hold personal data: prefer the endpoint with its parameters named.
pub fn url(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    let names: Vec<String> = url.query_pairs().map(|(name, _)| format!("{name}={MASK}")).collect();
    shown.set_query(None);
    match names.is_empty() {
        true => shown.to_string(),
        false => format!("{shown}?{}", names.join("&")),
    }
}

/// Takes known secrets out of texts, in the forms they take on their way: raw, percent-encoded, form-encoded,
/// JSON-escaped, and base64 at every alignment, which includes Basic headers.
pub struct Scrubber(Vec<String>);

impl Scrubber {
    /// A scrubber for these secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let secrets = secrets.into_iter().map(Secret::expose);
        let mut forms: Vec<String> = secrets.filter(|secret| secret.len() >= MIN_SECRET).flat_map(forms).collect();
        forms.sort_unstable();
        forms.dedup();
        Self(forms)
    }

    /// `text` with stars in place of every secret, and of the beginning of one at its end: texts of providers are cut
    /// to length before they come here.
    pub fn scrub(&self, text: &str) -> String {
        let mut found: Vec<Range<usize>> = self.0.iter().flat_map(|form| places(form, text)).collect();
        if found.is_empty() {
            return text.to_owned();
        }
        // Where secrets overlap, what is left of one must not show beside the other.
        found.sort_by_key(|range| range.start);
        let (mut clean, mut shown_to) = (String::new(), 0);
        for range in found {
            if range.start >= shown_to {
                clean.push_str(&text[shown_to..range.start]);
                clean.push_str(MASK);
            }
            shown_to = shown_to.max(range.end);
        }
        clean.push_str(&text[shown_to..]);
        clean
    }
}

/// Where `form` is in `text`, overlapping ones included, and where it begins at the end of it.
fn places(form: &str, text: &str) -> Vec<Range<usize>> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(form).map(|at| at + from) {
        places.push(at..at + form.len());
        from = at + text[at..].chars().next().map_or(1, char::len_utf8);
    }
    let beginnings = form.char_indices().rev().map(|(at, _)| at).take_while(|at| *at >= MIN_SECRET);
    let cut = beginnings.into_iter().find(|at| text.ends_with(&form[..*at]));
    places.extend(cut.map(|length| text.len() - length..text.len()));
    places
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").field("forms", &self.0.len()).finish()
    }
}

fn forms(secret: &str) -> Vec<String> {
    let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::to_string(secret).unwrap_or_default();
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent, form, json.trim_matches('"').to_owned()];
    for shift in 0..3 {
        forms.extend(base64_within(secret, shift));
    }
    forms
}

/// The characters that `secret` certainly has in base64 when it starts `shift` bytes into a group of three.
fn base64_within(secret: &str, shift: usize) -> Vec<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(secret.bytes()).collect();
    // The first characters mix with what stands before, the last ones with what follows.
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    let encoded = [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)];
    encoded.iter().filter_map(|text| text.get(first..last)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    #[test]
    fn only_listed_headers_show_their_values() {
        let mut map = HeaderMap::new();
        map.insert("authorization", "Bearer canary".parse().unwrap());
        map.insert("set-cookie", "canary".parse().unwrap());
        map.insert("x-new-header", "canary".parse().unwrap());
        map.insert("retry-after", "5".parse().unwrap());
        let shown = headers(&map);
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("retry-after: 5") && shown.contains("authorization: ***"));
    }

    #[test]
    fn urls_lose_values_and_credentials() {
        let full = "https://user:canary@host.example/path?token=canary&$filter=canary#canary".parse().unwrap();
        assert_eq!(url(&full), "https://host.example/path?token=***&$filter=***");
        assert_eq!(url(&"https://host.example/a".parse().unwrap()), "https://host.example/a");
    }

    #[test]
    fn short_secrets_do_not_mask_ordinary_text() {
        assert_eq!(Scrubber::new([&Secret::new("a"), &Secret::new("")]).scrub("a banana"), "a banana");
    }

    #[test]
    fn secrets_that_overlap_or_were_cut_leave_nothing_telling() {
        let scrubber = Scrubber::new([&Secret::new("abcdefgh"), &Secret::new("efghijkl")]);
        assert_eq!(scrubber.scrub("x abcdefghijkl y"), "x *** y");
        assert_eq!(scrubber.scrub("abcdefghabcdefgh"), "******");
        assert_eq!(scrubber.scrub("the token is abcdef"), "the token is ***");
        assert_eq!(scrubber.scrub("the token is abcde"), "the token is abcde");
        assert_eq!(Scrubber::new([&Secret::new("aaaaaa")]).scrub("aaaaaaaaa b"), "*** b");
    }

    proptest! {
        #[test]
        fn no_form_of_a_secret_survives(secret in "[ -~äß😀\"\\\\/+]{6,40}", before in "[a-z]{0,5}", user in "[a-z0-9-]{0,12}") {
            let scrubber = Scrubber::new([&Secret::new(secret.clone())]);
            let json = serde_json::to_string(&secret).unwrap();
            let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let basic = STANDARD.encode(format!("{user}:{secret}"));
            let plain = STANDARD.encode(&secret);
            let percent = utf8_percent_encode(&secret, NON_ALPHANUMERIC).to_string();
            for form in [secret, json.trim_matches('"').to_owned(), form, percent] {
                let clean = scrubber.scrub(&format!("{before}{form} end"));
                prop_assert!(!clean.contains(&form), "{clean}");
            }
            // Of base64 the characters that hold the secret alone go; what is left decodes to at most its edges.
            for encoded in [basic, plain] {
                let clean = scrubber.scrub(&encoded);
                prop_assert!(clean.contains(MASK));
                let kept = clean.replace(MASK, "").len();
                prop_assert!(kept <= (user.len() + 1) * 4 / 3 + 8, "{encoded} -> {clean}");
            }
        }
    }
}
