//! A trail as a file of JSON lines: a header that names the tenant, one line per record, a last line with the head.
//!
//! A record's `payload` is the very text that was hashed, so that no reader has to rebuild it byte by byte.

use std::io::BufRead;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::verify::{Fault, Verdict, Verifier};
use crate::error::{Error, ErrorKind, Result};
use crate::store::chain::{Entry, Hash, Head, hex};
use crate::store::key::Scope;

const FORMAT: &str = "bifrost audit trail 1";

/// Longer than any line an engine's largest value can make, escaped.
const MAX_LINE_LEN: u64 = 32 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Header { format: String, tenant: String },
    Record { number: u64, previous: String, hash: String, payload: String },
    Trailer { last: u64, head: String },
}

fn text(line: &Line) -> Result<String> {
    let mut text = serde_json::to_string(line)
        .map_err(|error| Error::internal("export audit trail", "a line does not serialize").source(error))?;
    text.push('\n');
    Ok(text)
}

pub(super) fn header(scope: &Scope) -> Result<String> {
    text(&Line::Header { format: FORMAT.to_owned(), tenant: scope.as_str().to_owned() })
}

pub(super) fn line(entry: &Entry, head: &Head) -> Result<String> {
    let payload = std::str::from_utf8(&entry.payload)
        .map_err(|_| Error::new(ErrorKind::StoreCorrupt, "export audit trail", "a record is no text"))?;
    text(&Line::Record {
        number: entry.number,
        previous: hex(&entry.previous),
        hash: hex(&head.hash),
        payload: payload.to_owned(),
    })
}

pub(super) fn trailer(head: &Head) -> Result<String> {
    text(&Line::Trailer { last: head.number, head: hex(&head.hash) })
}

/// Checks an exported trail of `scope`, against `expected` if a head is known from elsewhere. Needs no store and no key.
///
/// The file's own last line is held against it too, so a file that was cut is noticed even without `expected`.
///
/// # Errors
/// `InvalidInput` when it is no exported trail, `Unavailable` when it cannot be read; a trail that was tampered with is
/// no error but a [`Verdict`].
pub fn verify_export(mut source: impl BufRead, scope: &Scope, expected: Option<Head>) -> Result<Verdict> {
    let mut verifier = Verifier::new(scope, expected);
    let Some(Line::Header { format, tenant }) = next_line(&mut source)? else {
        return Err(malformed());
    };
    if format != FORMAT {
        return Err(malformed());
    }
    if tenant != scope.as_str() {
        verifier.fail(Fault::Foreign { number: 0 });
        return Ok(verifier.finish());
    }
    let mut last = 0;
    while let Some(line) = next_line(&mut source)? {
        match line {
            Line::Record { number, previous, hash, payload } => {
                last = number;
                let (previous, hash) = (unhex(&previous)?, unhex(&hash)?);
                let payload = Bytes::from(payload);
                verifier.check_claimed(&Entry { number, previous, payload }, &hash);
            }
            Line::Trailer { last, head } => {
                verifier.end_at(Head { number: last, hash: unhex(&head)? });
                // Nothing follows the last line but what somebody added.
                return if next_line(&mut source)?.is_none() { Ok(verifier.finish()) } else { Err(malformed()) };
            }
            Line::Header { .. } => return Err(malformed()),
        }
    }
    verifier.fail(Fault::CutTail { first_missing: last.saturating_add(1) });
    Ok(verifier.finish())
}

fn next_line(source: &mut impl BufRead) -> Result<Option<Line>> {
    let mut bytes = Vec::new();
    let read = std::io::Read::take(source, MAX_LINE_LEN)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| Error::new(ErrorKind::Unavailable, "verify audit trail", "cannot be read").source(error))?;
    if read == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|_| malformed())
}

fn malformed() -> Error {
    Error::invalid("verify audit trail", "the file is no exported audit trail")
}

fn unhex(text: &str) -> Result<Hash> {
    let mut hash = [0; 32];
    // Number parsers take a sign, and a hash has one form.
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
        return Err(malformed());
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| malformed())?;
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn noise_is_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(verify_export(&noise[..], &Scope::hub(), None).is_err());
        }

        #[test]
        fn hashes_come_back(hash in any::<[u8; 32]>()) {
            prop_assert_eq!(unhex(&hex(&hash)).unwrap(), hash);
        }
    }
}
