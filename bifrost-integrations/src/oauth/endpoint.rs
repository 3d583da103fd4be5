//! Where a provider issues tokens, and how it wants to be asked.

use bifrost_core::connection::ConnectionSettings;
use bifrost_core::{Error, Result};
use url::Url;

use crate::http::check_address;

/// The login host of Microsoft's global cloud.
pub const ENTRA_AUTHORITY: &str = "https://login.microsoftonline.com";

/// How the application proves who it is (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Id and secret are fields of the form.
    #[default]
    Body,
    /// Id and secret are an HTTP Basic header.
    Basic,
}

/// Whose errors the endpoint answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// Those of RFC 6749 section 5.2.
    #[default]
    Standard,
    /// Those and Microsoft's `AADSTS` codes.
    Entra,
    /// Those and HaloPSA's page of HTML when "Agent to log in as" does not fit.
    HaloPsa,
}

/// A token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenEndpoint {
    /// Its URL, query included.
    pub url: Url,
    /// Further fields of the form.
    pub form: Vec<(String, String)>,
    /// How the application proves who it is.
    pub auth: ClientAuth,
    /// Whether the scopes are sent with a refresh token too.
    pub scope_on_refresh: bool,
    /// Whose errors it answers with.
    pub dialect: Dialect,
}

impl TokenEndpoint {
    /// An endpoint after RFC 6749 at `url`.
    pub fn new(url: Url) -> Self {
        Self { url, form: Vec::new(), auth: ClientAuth::Body, scope_on_refresh: false, dialect: Dialect::Standard }
    }

    /// Microsoft's identity platform for the customer that `settings.entity` names, by tenant id or verified domain:
    /// `{authority}/{entity}/oauth2/v2.0/token`.
    ///
    /// # Errors
    /// `InvalidInput` when the entity is missing, is no id or domain, or is an alias that stands for many tenants.
    pub fn entra(settings: &ConnectionSettings) -> Result<Self> {
        let entity = settings.entity.as_deref().ok_or_else(|| {
            entity_error("the connection names no Entra tenant").next_action("set `entity` to the customer's tenant id")
        })?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        if entity.is_empty() || entity.starts_with('.') || !entity.chars().all(is_name) {
            return Err(entity_error("the Entra tenant is neither an id nor a domain"));
        }
        if ["common", "organizations", "consumers"].contains(&entity.to_ascii_lowercase().as_str()) {
            return Err(entity_error("an alias for many tenants does not name a customer")
                .next_action("set `entity` to the customer's tenant id or verified domain"));
        }
        let url = below(settings.authority.as_ref(), Some(ENTRA_AUTHORITY), &[entity, "oauth2", "v2.0", "token"])?;
        Ok(Self { scope_on_refresh: true, dialect: Dialect::Entra, ..Self::new(url) })
    }

    /// HaloPSA's authorisation server: `{authority}/token`, with `?tenant=` when `settings.entity` names one, as its
    /// hosted form wants.
    ///
    /// # Errors
    /// `InvalidInput` when the connection names no authority: it cannot be derived from anything else.
    pub fn halopsa(settings: &ConnectionSettings) -> Result<Self> {
        let mut url = below(settings.authority.as_ref(), None, &["token"])?;
        if let Some(tenant) = &settings.entity {
            url.query_pairs_mut().append_pair("tenant", tenant);
        }
        Ok(Self { dialect: Dialect::HaloPsa, ..Self::new(url) })
    }
}

fn entity_error(message: &str) -> Error {
    Error::invalid("read connection", message).with("name", "entity")
}

/// The URL of these segments below an authority.
fn below(authority: Option<&Url>, default: Option<&str>, segments: &[&str]) -> Result<Url> {
    let default = || default.and_then(|url| Url::parse(url).ok());
    let missing = || {
        Error::invalid("read connection", "the connection does not say where tokens come from")
            .with("name", "authority")
            .next_action("set `authority` to the URL of the authorisation server")
    };
    let mut url = authority.cloned().or_else(default).ok_or_else(missing)?;
    check_address(&url, "authority")?;
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().map_err(|()| missing())?.pop_if_empty().extend(segments);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bifrost_core::ProviderId;

    fn settings() -> ConnectionSettings {
        ConnectionSettings::new(ProviderId::new("test").unwrap())
    }

    #[test]
    fn tokens_are_asked_for_at_web_addresses_alone() {
        for bad in ["ftp://h/", "file:///etc", "ttps://h/", "https://user:pw@h/", "mailto:zoe@contoso.com"] {
            let mut settings = settings().with_entity("contoso.com");
            settings.authority = Some(bad.parse().unwrap());
            for endpoint in [TokenEndpoint::entra(&settings), TokenEndpoint::halopsa(&settings)] {
                assert_eq!(endpoint.unwrap_err().kind(), bifrost_core::ErrorKind::InvalidInput, "{bad}");
            }
        }
    }

    #[test]
    fn entra_has_the_tenant_in_its_path() {
        for (entity, authority, expected) in [
            (
                "contoso.onmicrosoft.com",
                None,
                "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token",
            ),
            (
                "2b1f-1",
                Some("https://login.microsoftonline.us/"),
                "https://login.microsoftonline.us/2b1f-1/oauth2/v2.0/token",
            ),
            ("t", Some("http://127.0.0.1:8080/login"), "http://127.0.0.1:8080/login/t/oauth2/v2.0/token"),
        ] {
            let mut settings = settings().with_entity(entity);
            settings.authority = authority.map(|url| url.parse().unwrap());
            assert_eq!(TokenEndpoint::entra(&settings).unwrap().url.as_str(), expected);
        }
        for entity in ["common", "Organizations", "consumers", "", "a/b", "..", "a b", "x?y"] {
            assert!(TokenEndpoint::entra(&settings().with_entity(entity)).is_err(), "{entity}");
        }
        assert!(TokenEndpoint::entra(&settings()).is_err());
    }

    #[test]
    fn halopsa_has_the_tenant_in_its_query() {
        let at = |url: &str| settings().with_authority(url.parse().unwrap());
        for (settings, expected) in [
            (at("https://contoso.halopsa.com/auth"), "https://contoso.halopsa.com/auth/token"),
            (
                at("https://contoso.halopsa.com/auth/").with_entity("contoso"),
                "https://contoso.halopsa.com/auth/token?tenant=contoso",
            ),
            (
                at("https://auth.haloservicedesk.com").with_entity("a&b=c"),
                "https://auth.haloservicedesk.com/token?tenant=a%26b%3Dc",
            ),
        ] {
            assert_eq!(TokenEndpoint::halopsa(&settings).unwrap().url.as_str(), expected);
        }
        let missing = TokenEndpoint::halopsa(&settings()).unwrap_err();
        assert_eq!(missing.context("name"), Some("authority"));
    }
}
