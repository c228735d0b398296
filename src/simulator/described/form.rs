//! Reader of forms (`multipart/form-data`), as a map of their texts.

use serde_json::{Map, Value};

/// Returns the fields of a form; `None` if the body is no form. A part that is not text is left out.
pub(in crate::simulator) fn fields(content_type: &str, body: &[u8]) -> Option<Value> {
    let (kind, parameters) = content_type.split_once(';')?;
    let boundary = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    let boundary = boundary.trim_matches('"');
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") || boundary.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    let text = format!("\r\n{text}");
    let separator = format!("\r\n--{boundary}");
    let mut parts = text.split(&separator).skip(1);
    let mut fields = Map::new();
    loop {
        let part = parts.next()?;
        if part.starts_with("--") {
            return Some(Value::Object(fields));
        }
        let (head, value) = part.split_once("\r\n\r\n")?;
        if let Some(name) = name(head) {
            fields.insert(name.to_owned(), value.into());
        }
    }
}

/// Returns the name in the head of a part.
fn name(head: &str) -> Option<&str> {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let (_, rest) = line.split_once("; name=\"")?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x\"";

    #[test]
    fn a_form_is_the_map_of_its_texts() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na cat,\r\n--y\r\n--x\r\n\
                    content-disposition: form-data; name=\"seed\"\r\nContent-Type: text/plain\r\n\r\n7\r\n--x--\r\n";
        assert_eq!(fields(TYPE, body.as_bytes()), Some(json!({"prompt": "a cat,\r\n--y", "seed": "7"})));
        assert_eq!(fields(TYPE, b"--x--"), Some(json!({})));
    }

    #[test]
    fn what_is_no_form_is_none() {
        for (content_type, body) in [
            ("application/json", "{}"),
            ("multipart/form-data", "--x--"),
            ("multipart/form-data; boundary=", "----"),
            (TYPE, ""),
            (TYPE, "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nunfinished"),
            (TYPE, "--x\r\nno end of the head"),
        ] {
            assert_eq!(fields(content_type, body.as_bytes()), None, "{content_type} {body}");
        }
    }
}
