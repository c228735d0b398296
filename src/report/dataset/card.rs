//! Dataset card: a `README.md` by which `datasets` and the Hub know the files of each split, and people what the dataset is.
//!
//! The text depends on the dataset alone, and contains no time.

use std::fmt::Write as _;

use crate::report::dataset::DatasetFormat;
use crate::report::dataset::column_form::ColumnForm;
use crate::report::dataset::record::{ColumnType, Columns};

/// Name of the file, in the dataset's folder.
pub(crate) const FILE_NAME: &str = "README.md";

/// Models that are named, at most.
const MODELS_MAX: usize = 20;

/// Facts about a dataset.
#[derive(Clone, Debug)]
pub(crate) struct DatasetCard<'a> {
    /// Heading of the page.
    pub title: &'a str,
    /// Format of the dataset.
    pub format: DatasetFormat,
    /// Splits, with the number of their images.
    pub splits: Vec<(&'a str, u64)>,
    /// Columns of the records.
    pub columns: &'a Columns,
    /// Forms of the columns; empty if all have their types.
    pub forms: &'a [ColumnForm],
    /// Extensions of the images, in order.
    pub extensions: Vec<&'a str>,
    /// Models, with the number of their images.
    pub models: Vec<(&'a str, u64)>,
    /// Name of the provider.
    pub provider: &'a str,
    /// Column or template of the captions.
    pub caption: &'a str,
}

impl DatasetCard<'_> {
    /// Returns the text of the file.
    pub(crate) fn text(&self) -> String {
        // A split without files would keep all others from loading.
        let splits = || self.splits.iter().filter(|(_, n)| *n > 0);
        let mut text = "---\n".to_owned();
        if splits().next().is_some() {
            text += "configs:\n- config_name: default\n  data_files:\n";
        }
        for (split, _) in splits() {
            let files = match self.format {
                DatasetFormat::ImageFolder | DatasetFormat::Captions => format!("{split}/**"),
                DatasetFormat::WebDataset => format!("{split}-*.tar"),
                DatasetFormat::Parquet => format!("{split}-*.parquet"),
            };
            let _ = writeln!(text, "  - split: {}\n    path: {}", quoted(split), quoted(&files));
        }
        if self.format == DatasetFormat::WebDataset {
            self.features(&mut text);
        }
        let made_by = format!("Made by `promptbatch export --to {}`.", self.format.as_str());
        let _ = write!(text, "---\n\n# {}\n\n{made_by}\n\n| split | images |\n|---|---|\n", plain(self.title));
        for (split, n) in splits() {
            let _ = writeln!(text, "| {split} | {n} |");
        }
        self.origin(&mut text);
        text += "\n## Columns\n\n| column | type |\n|---|---|\n";
        for (name, kind) in self.written_columns() {
            let _ = writeln!(text, "| {} | {} |", plain(name), kind_word(kind));
        }
        text
    }

    /// Writes the models, the provider, and the source of the captions.
    fn origin(&self, text: &mut String) {
        let images = |n: u64| if n == 1 { "1 image".to_owned() } else { format!("{n} images") };
        let named = self.models.iter().take(MODELS_MAX).map(|(model, n)| format!("{} ({})", plain(model), images(*n)));
        let mut models = named.collect::<Vec<_>>().join(", ");
        if self.models.len() > MODELS_MAX {
            let _ = write!(models, " and {} more", self.models.len() - MODELS_MAX);
        }
        let kind = if self.caption.contains('{') { "template" } else { "column" };
        let (provider, caption) = (plain(self.provider), plain(self.caption));
        let _ =
            writeln!(text, "\n- Models: {models}\n- Provider: {provider}\n- Captions: the {kind} {caption}, as `text`");
    }

    /// Returns the columns that are written, with the types of their values.
    fn written_columns(&self) -> impl Iterator<Item = (&str, ColumnType)> {
        let forms = self.forms.iter().copied().chain(std::iter::repeat(ColumnForm::Typed));
        let columns = self.columns.names().iter().zip(self.columns.kinds()).zip(forms);
        columns.filter_map(|((name, kind), form)| match form {
            ColumnForm::LeftOut => None,
            ColumnForm::Typed => Some((name.as_str(), *kind)),
            ColumnForm::Text | ColumnForm::DatesAsText => Some((name.as_str(), ColumnType::Text)),
        })
    }

    /// Writes the types of a sample, which `datasets` would infer from the first five.
    fn features(&self, text: &mut String) {
        *text += "dataset_info:\n  features:\n";
        for extension in &self.extensions {
            let _ = writeln!(text, "  - name: {}\n    dtype: image", quoted(extension));
        }
        *text += "  - name: json\n    struct:\n";
        for (name, kind) in self.written_columns() {
            let dtype = match kind {
                ColumnType::Text | ColumnType::Time => "string",
                ColumnType::Whole => "int64",
                ColumnType::Real => "float64",
            };
            let _ = writeln!(text, "    - name: {}\n      dtype: {dtype}", quoted(name));
        }
        for name in ["txt", "__key__", "__url__"] {
            let _ = writeln!(text, "  - name: {name}\n    dtype: string");
        }
    }
}

const fn kind_word(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Text => "text",
        ColumnType::Whole => "integer",
        ColumnType::Real => "number",
        ColumnType::Time => "time",
    }
}

/// Formats a text as a quoted scalar of YAML.
fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // YAML accepts printable characters only.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// Formats a text from outside as code on one line of a Markdown page, in a table or elsewhere.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{}{space}{fence}", text.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::dataset::column_form::forms_of_shards;

    fn card(format: DatasetFormat) -> String {
        let columns = Columns::new("modelscope", &["a \"b\"\u{7}: |`".to_owned()], "prompt").unwrap();
        let forms = if format == DatasetFormat::WebDataset { forms_of_shards(&columns, &["seed"]) } else { vec![] };
        DatasetCard {
            title: "cats",
            format,
            splits: vec![("train", 2), ("test", 1), ("none", 0)],
            columns: &columns,
            forms: &forms,
            extensions: vec!["jpg", "png"],
            models: vec![("a/b", 2), ("c|d", 1)],
            provider: "modelscope",
            caption: "ohwx, {prompt}",
        }
        .text()
    }

    #[test]
    fn the_card_says_what_the_dataset_is() {
        insta::assert_snapshot!("webdataset", card(DatasetFormat::WebDataset));
        let folder = card(DatasetFormat::ImageFolder);
        let (front, page) = folder.strip_prefix("---\n").and_then(|text| text.split_once("---\n")).unwrap();
        insta::assert_snapshot!(front, @r#"
        configs:
        - config_name: default
          data_files:
          - split: "train"
            path: "train/**"
          - split: "test"
            path: "test/**"
        "#);
        assert!(page.contains("Captions: the template `ohwx, {prompt}`, as `text`"), "{page}");
        assert!(card(DatasetFormat::Parquet).contains("path: \"train-*.parquet\"\n"));
    }
}
