//! Built-in descriptions: one row and one file each. A file is parsed only when its provider is named.

/// Built-in description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuiltIn {
    /// Name of the provider.
    pub name: &'static str,
    /// Text of the description.
    pub text: &'static str,
}

/// Row of the table: the name, and the file of the same name.
macro_rules! row {
    ($name:literal) => {
        BuiltIn { name: $name, text: include_str!(concat!("builtin/", $name, ".yaml")) }
    };
}

/// All built-in descriptions, in the order of lists. The first is that of the default provider.
pub(crate) static BUILT_IN: &[BuiltIn] = &[
    row!("modelscope"),
    row!("openai"),
    row!("siliconflow"),
    row!("fal"),
    row!("replicate"),
    row!("together"),
    row!("a1111"),
    row!("dashscope"),
    row!("dashscope-messages"),
    row!("gemini"),
    row!("bfl"),
    row!("stability"),
    row!("runware"),
    row!("ark"),
    row!("xai"),
    row!("deepinfra"),
    row!("recraft"),
    row!("openrouter"),
    row!("localai"),
    row!("sglang"),
    row!("vllm-omni"),
    row!("sd-server"),
    row!("xinference"),
    row!("litellm"),
    row!("cloudflare"),
    row!("aihorde"),
];

/// Returns the text of the built-in description with this name.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|row| row.name == name).map(|row| row.text)
}

impl BuiltIn {
    /// Returns the help of the provider, from the line of the file that has it. Nothing is parsed for it.
    pub(crate) fn help(&self) -> &'static str {
        self.text.lines().find_map(|line| line.strip_prefix("help: ")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::parse::parse;
    use crate::provider::described::check::check;

    /// Goal: every built-in description is valid, and its own examples are judged as it says.
    #[test]
    fn every_description_passes_its_own_examples() {
        let mut failed = Vec::new();
        for row in BUILT_IN {
            match parse(row.name, row.text, &text) {
                Err(error) => failed.push(error.to_string()),
                Ok(api) => {
                    assert_eq!((api.name.as_str(), api.help.as_str()), (row.name, row.help()));
                    let report = check(&api);
                    failed.extend(report.failures.iter().map(|failure| {
                        format!(
                            "{}: {} {} ({}): {}",
                            row.name, failure.list, failure.number, failure.name, failure.what
                        )
                    }));
                    failed.extend(report.gaps.iter().map(|gap| format!("{}: {gap}", row.name)));
                }
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }

    /// Goal: the description in the manual is short, valid, and judged as it says.
    #[test]
    fn the_worked_example_of_the_manual_is_valid() {
        let manual = include_str!("../../docs/providers.md");
        let (_, rest) = manual.split_once("<!-- file: relay.yaml -->\n```yaml\n").expect("the manual has the example");
        let (example, _) = rest.split_once("```").expect("the example ends");
        assert!(example.lines().count() < 40, "{} lines", example.lines().count());
        let api = parse("relay.yaml", example, &text).unwrap();
        assert_eq!(check(&api).failures, []);
    }
}
