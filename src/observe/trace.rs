//! W3C trace context: the caller's trace goes on to the CRM, under a span id of our own.

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use crate::model::Trace;

/// The trace that a request takes part in; none without a valid `traceparent`.
pub fn accept(headers: &HeaderMap) -> Option<Trace> {
    if !headers.contains_key("traceparent") {
        return None;
    }
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    let span = context.span();
    let caller = span.span_context();
    if !caller.is_valid() {
        return None;
    }
    let ours = RandomIdGenerator::default().new_span_id();
    let state = caller.trace_state().header();
    Some(Trace {
        parent: format!("00-{}-{ours}-{:02x}", caller.trace_id(), caller.trace_flags().to_u8()),
        state: (!state.is_empty()).then_some(state),
    })
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(parent: &'static str) -> HeaderMap {
        HeaderMap::from_iter([
            (http::HeaderName::from_static("traceparent"), HeaderValue::from_static(parent)),
            (http::HeaderName::from_static("tracestate"), HeaderValue::from_static("vendor=1")),
        ])
    }

    #[test]
    fn the_trace_goes_on_under_a_new_span() {
        let sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = accept(&headers(sent)).unwrap();
        assert!(trace.parent.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{trace:?}");
        assert!(trace.parent.ends_with("-01") && trace.parent.len() == sent.len(), "{trace:?}");
        assert!(!trace.parent.contains("00f067aa0ba902b7"), "{trace:?}");
        assert_eq!(trace.state.as_deref(), Some("vendor=1"));
    }

    #[test]
    fn a_malformed_trace_is_none() {
        assert_eq!(accept(&headers("00-xyz")), None);
        assert_eq!(accept(&headers("00-00000000000000000000000000000000-00f067aa0ba902b7-01")), None);
        assert_eq!(accept(&HeaderMap::new()), None);
    }
}
