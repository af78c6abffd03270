//! A [`RequestSpec`] compiled, and filled in for one call.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use std::sync::Arc;
use url::Url;

use super::manifest::RequestSpec;
use super::template::{JsonTemplate, Names, Template, text_of};
use crate::model::{Request, Safety};

/// A request whose templates are parsed.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    step: Arc<str>,
    method: Method,
    path: Template,
    query: Vec<(String, Template)>,
    headers: Vec<(HeaderName, Template)>,
    body: Option<JsonTemplate>,
    form: bool,
    safety: Safety,
}

impl RequestTemplate {
    /// Compiles a request; `step` names it in logs, `safety` says whether it may be repeated.
    ///
    /// # Errors
    /// One sentence for every part that cannot be read.
    pub fn compile(step: &str, spec: &RequestSpec, safety: Safety) -> Result<RequestTemplate, Vec<String>> {
        let mut faults = Vec::new();
        let mut template = |text: &str| match Template::parse(text) {
            Ok(template) => Some(template),
            Err(fault) => {
                faults.push(fault);
                None
            }
        };
        let path = template(&spec.path);
        let query: Vec<_> =
            spec.query.iter().filter_map(|(name, text)| Some((name.clone(), template(text)?))).collect();
        let headers: Vec<_> =
            spec.headers.iter().filter_map(|(name, text)| Some((name.clone(), template(text)?))).collect();
        let headers: Vec<_> = headers
            .into_iter()
            .filter_map(|(name, template)| match HeaderName::try_from(name.as_str()) {
                Ok(name) => Some((name, template)),
                Err(_) => {
                    faults.push(format!("`{name}` is not a header name"));
                    None
                }
            })
            .collect();
        let method = Method::from_bytes(spec.method.as_bytes())
            .ok()
            .filter(|_| spec.method == spec.method.to_uppercase());
        if method.is_none() {
            faults.push(format!("`{}` is not a method", spec.method));
        }
        if !spec.path.starts_with('/') {
            faults.push(format!("the path `{}` does not begin with `/`", spec.path));
        }
        let body = spec.body.as_ref().map(JsonTemplate::parse).transpose().unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        match (path, method) {
            (Some(path), Some(method)) if faults.is_empty() => Ok(RequestTemplate {
                step: Arc::from(step),
                method,
                path,
                query,
                headers,
                body,
                form: spec.form,
                safety,
            }),
            _ => Err(faults),
        }
    }

    /// Whether the request has a body.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The names of all placeholders.
    pub fn names(&self) -> Vec<&str> {
        let templates = self.query.iter().map(|(_, template)| template);
        let templates = templates.chain(self.headers.iter().map(|(_, template)| template));
        let body = self.body.as_ref().map(JsonTemplate::names).unwrap_or_default();
        std::iter::once(&self.path).chain(templates).flat_map(Template::names).chain(body).collect()
    }

    /// Which step of an operation this is.
    pub fn step(&self) -> &Arc<str> {
        &self.step
    }

    /// The request with its placeholders filled.
    ///
    /// # Errors
    /// The name of what cannot be filled: a path placeholder without value, or a header value that HTTP cannot carry.
    pub fn render(&self, base: &Url, names: &dyn Names) -> Result<Request, String> {
        let path = self
            .path
            // The URL standard reads dots, even encoded ones, as steps between folders: no id is made of them.
            .render_with(
                &|name: &str| {
                    names.get(name).filter(|value| !matches!(value.as_str(), Some("." | ".." | "")))
                },
                encode_segment,
            )
            .ok_or_else(|| format!("a placeholder in the path of `{}` has no value", self.step))?;
        let mut url = join(base, &path);
        let query: Vec<(&str, String)> = self
            .query
            .iter()
            .filter_map(|(name, template)| Some((name.as_str(), template.render(names)?)))
            .collect();
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, template) in &self.headers {
            if let Some(text) = template.render(names) {
                let value =
                    HeaderValue::try_from(text).map_err(|_| format!("the header `{name}` cannot be sent"))?;
                headers.push((name.clone(), value));
            }
        }
        let body = self.body.as_ref().and_then(|body| body.render(names)).map(|body| {
            if self.form {
                headers.push((
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/x-www-form-urlencoded"),
                ));
                form(&body)
            } else {
                headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
                // A `Value` always serialises.
                Bytes::from(serde_json::to_vec(&body).unwrap_or_default())
            }
        });
        Ok(Request {
            step: self.step.clone(),
            method: self.method.clone(),
            url,
            headers,
            body,
            safety: self.safety,
        })
    }
}

/// A base URL and a path below it.
pub fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

fn form(body: &Value) -> Bytes {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if let Value::Object(object) = body {
        for (name, value) in object {
            if let Some(text) = text_of(value) {
                pairs.append_pair(name, &text);
            }
        }
    }
    Bytes::from(pairs.finish())
}

/// Percent-encodes a value so that it stays one path segment.
fn encode_segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' | b'@' | b':' | b',' => {
                out.push(char::from(byte))
            }
            b'.' => out.push('.'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(name: &str) -> Option<Value> {
        match name {
            "id" => Some(json!("a/../b ü")),
            "dots" => Some(json!("..")),
            "q" => Some(json!("x & y")),
            "list" => Some(json!([1, 2])),
            _ => None,
        }
    }

    fn render(spec: Value) -> Request {
        let spec: RequestSpec = serde_json::from_value(spec).unwrap();
        let template = RequestTemplate::compile("test", &spec, Safety::Read).unwrap();
        template.render(&Url::parse("http://127.0.0.1:1/hubspot/").unwrap(), &names).unwrap()
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(
            render(json!({"path": "/c/{id}"})).url.as_str(),
            "http://127.0.0.1:1/hubspot/c/a%2F..%2Fb%20%C3%BC"
        );
        let spec: RequestSpec = serde_json::from_value(json!({"path": "/c/{dots}/x"})).unwrap();
        let template = RequestTemplate::compile("test", &spec, Safety::Read).unwrap();
        assert!(template.render(&Url::parse("http://127.0.0.1/").unwrap(), &names).is_err());
    }

    #[test]
    fn parameters_without_value_are_left_out() {
        let request = render(json!({"path": "/c", "query": {"a": "{q}", "b": "{none}", "c": "{list}"}}));
        assert_eq!(request.url.query(), Some("a=x+%26+y&c=1%2C2"));
    }

    #[test]
    fn bodies_are_json_or_form() {
        let request = render(json!({"path": "/c", "method": "POST", "body": {"l": "{list}", "n": "{none}"}}));
        assert_eq!(request.body.unwrap(), r#"{"l":[1,2]}"#);
        let request = render(
            json!({"path": "/c", "method": "POST", "form": true, "body": {"l": "{list}", "q": "{q}"}}),
        );
        assert_eq!(request.body.unwrap(), "l=1%2C2&q=x+%26+y");
    }

    #[test]
    fn all_faults_are_named() {
        let spec =
            serde_json::from_value(json!({"path": "c/{", "method": "get", "query": {"a": "{"}})).unwrap();
        assert_eq!(RequestTemplate::compile("test", &spec, Safety::Read).unwrap_err().len(), 4);
    }
}
