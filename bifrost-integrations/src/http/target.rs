//! Where a request goes: relative paths against the connection's base URL, links only to the host they must lead to.

use bifrost_core::{Connection, Error, ErrorKind, Result};
use http::Uri;
use url::Url;

/// The base of a connection: its own, or the integration's.
pub(super) fn base_url<'a>(connection: &'a Connection, default: Option<&'a Url>) -> Result<&'a Url> {
    let base = connection.settings().base_url.as_ref().or(default);
    base.ok_or_else(|| {
        Error::invalid("call provider", "the connection has no base URL and the provider has none by default")
            .next_action("set `base_url` of the connection")
    })
}

/// Checks an address from the settings of a connection before anything is sent there: it will be given credentials.
pub(crate) fn check_address(url: &Url, name: &'static str) -> Result<()> {
    check(url.clone()).map(drop).map_err(|error| {
        Error::invalid("read connection", error.message().to_owned())
            .with("name", name)
            .next_action("give an http or https address with a host, without credentials")
    })
}

/// The absolute URL of `uri`: a path is appended to the base, a link is taken as it is.
pub(super) fn resolve(base: &Url, uri: &Uri) -> Result<Url> {
    if uri.scheme().is_some() {
        return parse(&uri.to_string());
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let root = base.as_str().split(['?', '#']).next().unwrap_or_default();
    parse(&format!("{}/{}", root.trim_end_matches('/'), path.trim_start_matches('/')))
}

/// Reads a URL the provider handed out, relative to `from`.
pub(super) fn follow(from: &Url, location: &str) -> Result<Url> {
    let url = from.join(location).map_err(|_| refused("the provider redirects to something that is no URL"))?;
    check(url)
}

fn parse(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|_| Error::invalid("call provider", "the request's URI is no URL"))?;
    check(url)
}

fn check(url: Url) -> Result<Url> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(refused("only http and https URLs with a host are called"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("a URL with credentials in it is not called"));
    }
    Ok(url)
}

/// Checks that a token for `base` may be sent to `url`: same scheme, host and port.
pub(super) fn expect_same_origin(base: &Url, url: &Url) -> Result<()> {
    if same_origin(base, url) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    Err(refused(&format!("the link leads to {host}, where the connection's token must not be sent"))
        .next_action("check `base_url` of the connection: providers hand out links to their own host only"))
}

/// True when scheme, host and port are the same, and the scheme is one that has an origin.
pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    matches!(one.scheme(), "http" | "https")
        && one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn refused(message: &str) -> Error {
    Error::new(ErrorKind::PermissionDenied, "call provider", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        for (base, path, expected) in [
            ("https://graph.microsoft.com/v1.0", "/users?$top=1", "https://graph.microsoft.com/v1.0/users?$top=1"),
            ("https://graph.microsoft.com/v1.0/", "/$batch", "https://graph.microsoft.com/v1.0/$batch"),
            ("https://psa.example", "/Tickets", "https://psa.example/Tickets"),
            ("http://127.0.0.1:8080/api?x=1#y", "/Client/1", "http://127.0.0.1:8080/api/Client/1"),
        ] {
            assert_eq!(resolve(&url(base), &path.parse().unwrap()).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn tokens_go_to_the_base_alone() {
        let base = url("https://graph.microsoft.com/v1.0");
        for (link, allowed) in [
            ("https://graph.microsoft.com/v1.0/users?$skiptoken=x", true),
            ("https://GRAPH.microsoft.com:443/beta/users", true),
            ("http://graph.microsoft.com/v1.0/users", false),
            ("https://graph.microsoft.com:8443/v1.0/users", false),
            ("https://graph.microsoft.com.evil.example/", false),
            ("https://evil.example/graph.microsoft.com", false),
        ] {
            let target = resolve(&base, &link.parse().unwrap()).unwrap();
            assert_eq!(expect_same_origin(&base, &target).is_ok(), allowed, "{link}");
        }
    }

    #[test]
    fn credentials_in_urls_and_other_schemes_are_refused() {
        let from = url("https://graph.microsoft.com/v1.0/reports");
        for location in
            ["https://user:pw@evil.example/", "file:///etc/passwd", "data:text/plain,x", "ftp://h/", "https://"]
        {
            assert!(follow(&from, location).is_err(), "{location}");
        }
        assert_eq!(follow(&from, "/x").unwrap().as_str(), "https://graph.microsoft.com/x");
        assert_eq!(follow(&from, "//other.example/x").unwrap().host_str(), Some("other.example"));
    }
}
