//! The forms in which a text can turn up.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Every form of `secret`, as bytes.
pub(super) fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut texts = vec![secret.to_owned()];
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let percent = escape(secret, |byte| byte.is_ascii_alphanumeric(), |byte| format!("%{byte:02X}"));
    texts.extend([form, percent.to_lowercase(), percent]);
    let json = serde_json::to_string(secret).unwrap();
    let ascii = |unit| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    let ascii: String = json.encode_utf16().map(ascii).collect();
    texts.extend([json.trim_matches('"').to_owned(), ascii.trim_matches('"').to_owned()]);
    texts.push(format!("{secret:?}").trim_matches('"').to_owned());
    let hex = escape(secret, |_| false, |byte| format!("{byte:02x}"));
    texts.extend([hex.to_uppercase(), hex]);
    // Bytes as a list, as `Debug` of a byte string writes it.
    let list = secret.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>();
    texts.extend([list.join(", "), list.join(",")]);
    for shift in 0..3 {
        texts.extend(within_base64(secret.as_bytes(), shift));
    }
    let mut forms: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    forms.push(secret.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms.push(secret.encode_utf16().flat_map(u16::to_be_bytes).collect());
    forms.push(secret.bytes().rev().collect());
    forms.sort();
    forms.dedup();
    forms
}

fn escape(secret: &str, plain: impl Fn(u8) -> bool, escaped: impl Fn(u8) -> String) -> String {
    secret.bytes().fold(String::new(), |mut text, byte| {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text.write_str(&escaped(byte)).unwrap();
        }
        text
    })
}

/// The characters that are the secret's alone when it begins `shift` bytes into a group of three.
fn within_base64(secret: &[u8], shift: usize) -> Vec<String> {
    let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(secret.iter().copied()).collect();
    let (first, last) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
    let texts = [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)];
    texts.iter().map(|text| text[first..last].to_owned()).collect()
}
