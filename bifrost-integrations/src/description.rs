//! Checks requests against a description of the API they are for, for the tests of the clients.

use bifrost_core::integration::Outbound;
use serde_json::{Map, Value};

/// The paths of an API with the names their operations know.
pub(crate) struct Description(Value);

impl Description {
    /// Reads a description from the crate's test data.
    pub(crate) fn read(text: &str) -> Self {
        Self(serde_json::from_str::<Value>(text).unwrap()["paths"].take())
    }

    /// Asserts that the request's path has the form of its endpoint and that the endpoint, its method and every name
    /// in query and body are described.
    pub(crate) fn expect(&self, outbound: &Outbound) {
        let request = &outbound.request;
        let path = request.uri().path();
        let method = request.method().as_str().to_lowercase();
        let what = format!("{method} {path}");
        assert!(has_form(path, outbound.endpoint), "{what} has not the form {}", outbound.endpoint);
        let operation = &self.0[outbound.endpoint][method.as_str()];
        assert!(operation.is_object(), "{what}: {} is not described", outbound.endpoint);
        for (name, value) in url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
            assert!(names(&operation["query"], &name), "{what}: no query parameter {name}");
            if name == "$select" && operation["properties"].is_array() {
                for property in value.split(',') {
                    assert!(names(&operation["properties"], property), "{what}: no property {property}");
                }
            }
        }
        if request.headers().contains_key("consistencylevel") {
            assert!(names(&operation["headers"], "ConsistencyLevel"), "{what}: no header ConsistencyLevel");
        }
        for field in fields(request.body()) {
            assert!(names(&operation["body"], &field), "{what}: no field {field}");
        }
    }

    /// Asserts that every operation described is built by one of these requests: the description holds nothing else.
    pub(crate) fn expect_all_used(&self, requests: &[Outbound]) {
        for (path, operations) in self.0.as_object().unwrap() {
            for method in operations.as_object().unwrap().keys() {
                let uses = |sent: &Outbound| {
                    sent.endpoint == path && sent.request.method().as_str().eq_ignore_ascii_case(method)
                };
                assert!(requests.iter().any(uses), "{method} {path} is described and never built");
            }
        }
    }
}

/// The names at the top of a body: of an object, or of the one object in a list.
fn fields(body: &[u8]) -> Vec<String> {
    if body.is_empty() {
        return Vec::new();
    }
    let names = |object: Map<String, Value>| object.into_iter().map(|(name, _)| name).collect();
    match serde_json::from_slice(body).unwrap() {
        Value::Object(object) => names(object),
        Value::Array(mut list) => {
            assert_eq!(list.len(), 1, "one record per request");
            names(serde_json::from_value(list.remove(0)).unwrap())
        }
        other => panic!("a body of another kind: {other}"),
    }
}

fn names(list: &Value, name: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|known| known == name))
}

/// Whether the path is the template with each parameter replaced by one segment that is not empty.
fn has_form(path: &str, template: &str) -> bool {
    let (path, template): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), template.split('/').collect());
    let fits = |(part, form): (&&str, &&str)| {
        if form.starts_with('{') { !part.is_empty() } else { part == form }
    };
    path.len() == template.len() && path.iter().zip(&template).all(fits)
}
