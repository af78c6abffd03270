//! One JSON object a line, written in one go: a log line per call must not cost what a call costs.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Layer};

/// Writes events as JSON lines: `time`, `level`, `target`, then the event's fields.
pub struct JsonLines<W> {
    writer: W,
}

impl<W> JsonLines<W> {
    /// A layer that writes to what `writer` makes.
    pub fn new(writer: W) -> JsonLines<W> {
        JsonLines { writer }
    }
}

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<S: Subscriber, W: for<'w> MakeWriter<'w> + 'static> Layer<S> for JsonLines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with(|line| {
            // An event from within the formatting of another is dropped.
            let Ok(mut line) = line.try_borrow_mut() else { return };
            line.clear();
            let metadata = event.metadata();
            let _ = write!(
                line,
                "{{\"time\":\"{:.3}\",\"level\":\"{}\",\"target\":\"{}\"",
                Timestamp::now(),
                metadata.level(),
                metadata.target()
            );
            event.record(&mut Fields(&mut line));
            line.push_str("}\n");
            let _ = self.writer.make_writer_for(metadata).write_all(line.as_bytes());
        });
    }
}

struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn key(&mut self, field: &Field) {
        self.0.push_str(",\"");
        self.0.push_str(field.name());
        self.0.push_str("\":");
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.key(field);
        self.0.push('"');
        let _ = write!(Escaping(self.0), "{value:?}");
        self.0.push('"');
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.key(field);
        self.0.push('"');
        let _ = Escaping(self.0).write_str(value);
        self.0.push('"');
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.key(field);
        let _ = if value.is_finite() { write!(self.0, "{value}") } else { write!(self.0, "null") };
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.key(field);
        let _ = write!(self.0, "{value}");
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.key(field);
        let _ = write!(self.0, "{value}");
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.key(field);
        self.0.push_str(if value { "true" } else { "false" });
    }
}

/// Text within a JSON string.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut clean = 0;
        for (position, byte) in text.bytes().enumerate() {
            if byte >= 0x20 && byte != b'"' && byte != b'\\' {
                continue;
            }
            self.0.push_str(text.get(clean..position).unwrap_or_default());
            clean = position + 1;
            match byte {
                b'"' => self.0.push_str("\\\""),
                b'\\' => self.0.push_str("\\\\"),
                b'\n' => self.0.push_str("\\n"),
                other => write!(self.0, "\\u{other:04x}")?,
            }
        }
        self.0.push_str(text.get(clean..).unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json_whatever_its_fields_hold() {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                text = "a \"b\" \\ \n\u{1}é",
                count = 3_u64,
                ms = 1.5,
                yes = true,
                none = None::<u64>,
                "hello"
            );
            tracing::warn!(odd = ?f64::NAN, nan = f64::NAN);
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["text"], "a \"b\" \\ \n\u{1}é");
        assert_eq!(lines[0]["message"], "hello");
        assert_eq!(
            (&lines[0]["count"], &lines[0]["ms"], &lines[0]["yes"]),
            (&json!(3), &json!(1.5), &json!(true))
        );
        assert_eq!(lines[0].get("none"), None);
        assert_eq!((&lines[1]["level"], &lines[1]["nan"]), (&json!("WARN"), &Value::Null));
        assert!(lines[0]["time"].as_str().unwrap().ends_with('Z'));
    }
}
