//! What Microsoft's `AADSTS` codes ask of whom.
//!
//! Source: Microsoft's page "Microsoft Entra authentication and authorization error codes". Microsoft reserves the
//! right to change codes; one that is not listed is judged by the standard `error` of the answer.

use std::time::Duration;

use bifrost_core::Retry;
use bifrost_core::connection::Cause;

/// What a code means for the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The class.
    pub cause: Cause,
    /// When to try again, if that helps.
    pub retry: Retry,
    /// What a person should do, where the cause alone does not say it.
    pub next_action: Option<&'static str>,
}

impl Verdict {
    /// A verdict that the cause alone explains.
    pub(super) const fn of(cause: Cause) -> Self {
        let retry = match cause {
            Cause::ProviderDown => Retry::Later,
            _ => Retry::Never,
        };
        Self { cause, retry, next_action: None }
    }

    const fn after(seconds: u64) -> Self {
        Self { retry: Retry::After(Duration::from_secs(seconds)), ..Self::of(Cause::ProviderDown) }
    }

    const fn advising(cause: Cause, action: &'static str) -> Self {
        Self { next_action: Some(action), ..Self::of(cause) }
    }
}

/// What `code` means; `None` for codes that are not listed.
pub fn verdict(code: u64) -> Option<Verdict> {
    use Cause as C;
    Some(match code {
        // Passes by itself.
        40010 | 50033 | 50087 | 70012 | 80005 | 90006 | 90012 | 90024 | 90033 | 90090 | 90091 => {
            Verdict::of(C::ProviderDown)
        }
        50088 | 90055 => Verdict::after(120),
        // The same request too often: asking again soon makes it worse.
        50196 => Verdict::after(300),
        // The application's principal in the tenant is just being made.
        650_051 => Verdict::after(30),
        // A case for the provider's support.
        50000 | 50086 | 90036 | 90092 => Verdict {
            next_action: Some("if it lasts, open a case with Microsoft and name the trace id"),
            ..Verdict::of(C::ProviderDown)
        },
        // The grant is dead; the same person signs in again.
        50055 | 50085 | 50089 | 50132 | 50133 | 50144 | 50173 | 54005 | 70000 | 70008 | 70043 | 501_481 | 700_005
        | 700_020 | 700_082 | 700_084 => Verdict::of(C::Revoked),
        50057 | 50053 | 50034 | 51004 | 50126 | 90072 => {
            Verdict::advising(C::Revoked, "check the account that signed in: disabled, locked, or not of this tenant")
        }
        50072 | 50074 | 50076 | 50078 | 50079 | 50097 | 50158 => Verdict::of(C::MfaRequired),
        65001 | 65004 | 65005 | 90008 | 90094 | 90095 | 90099 | 650_056 | 650_057 => Verdict::of(C::ConsentMissing),
        500_011 | 650_052 | 700_011 | 700_016 => Verdict::advising(
            C::ConsentMissing,
            "check the tenant id, then ask an administrator of the customer to consent: the application is unknown there",
        ),
        90002 | 900_023 | 5_000_224 => {
            Verdict::advising(C::WrongConfiguration, "check the tenant id: the customer's directory was not found")
        }
        // The partner's person is a guest there, or not in the group that holds the GDAP assignment.
        50020 | 50177 => Verdict::of(C::PartnerRelationshipExpired),
        50012 | 50027 | 50048 | 70002 | 700_025 | 700_027 | 700_030 | 7_000_215 | 7_000_218 | 7_000_222 => {
            Verdict::of(C::CredentialExpired)
        }
        50105
        | 50131
        | 53000..=53004
        | 53010
        | 53011
        | 90123
        | 500_021
        | 500_022
        | 500_212
        | 500_213
        | 530_032
        | 530_034
        | 530_035 => Verdict::of(C::BlockedByPolicy),
        50011 | 50194 | 70001 | 70011 | 28002 | 28003 | 90014 | 90023 | 90038 | 700_022 | 700_023 | 700_054
        | 900_144 | 900_382 | 900_432 | 7_000_112 | 9_001_023 | 9_002_313 => Verdict::of(C::WrongConfiguration),
        _ => return None,
    })
}
