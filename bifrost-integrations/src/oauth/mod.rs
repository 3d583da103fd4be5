//! OAuth 2.0 token exchanges.
