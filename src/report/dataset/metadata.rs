//! Table of an image folder: `metadata.jsonl` or `metadata.csv`, one line per image, keyed by its `file_name`.

use std::io::{self, Write};

use crate::report::dataset::column_form::{ColumnForm, FormedRecord};
use crate::report::dataset::record::{Columns, Record};

/// Format of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// JSON Lines: one object per line. Numbers, text and missing values stay distinct.
    Jsonl,
    /// CSV table with a header.
    Csv,
}

impl TableFormat {
    /// Returns the name of the file, as its loader expects it.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Jsonl => "metadata.jsonl",
            Self::Csv => "metadata.csv",
        }
    }
}

/// Writes the table, image by image.
pub(crate) struct Metadata<W: Write> {
    rows: RowFormat<W>,
    forms: Vec<ColumnForm>,
}

enum RowFormat<W: Write> {
    Jsonl(W),
    Csv(Box<csv::Writer<W>>),
}

impl<W: Write> Metadata<W> {
    /// Creates the table with its columns in these forms, and writes the header of a CSV table.
    pub(crate) fn new(out: W, format: TableFormat, columns: &Columns, forms: Vec<ColumnForm>) -> io::Result<Self> {
        let rows = match format {
            TableFormat::Jsonl => RowFormat::Jsonl(out),
            TableFormat::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                let kept = columns.names().iter().zip(&forms).filter(|(_, form)| **form != ColumnForm::LeftOut);
                csv.write_record(kept.map(|(name, _)| name))?;
                RowFormat::Csv(Box::new(csv))
            }
        };
        Ok(Self { rows, forms })
    }

    /// Adds an image.
    pub(crate) fn write(&mut self, record: &Record<'_>) -> io::Result<()> {
        match &mut self.rows {
            RowFormat::Jsonl(out) => {
                serde_json::to_writer(&mut *out, &FormedRecord(record, &self.forms))?;
                out.write_all(b"\n")
            }
            RowFormat::Csv(csv) => {
                for value in record.values().iter().zip(&self.forms).filter_map(|(value, form)| form.apply(value)) {
                    csv.write_field(value.text().as_bytes())?;
                }
                Ok(csv.write_record(None::<&[u8]>)?)
            }
        }
    }

    /// Flushes the buffer, and returns the writer.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self.rows {
            RowFormat::Jsonl(out) => Ok(out),
            RowFormat::Csv(mut csv) => {
                csv.flush()?;
                csv.into_inner().map_err(|error| io::Error::from(error.error().kind()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures::{artifact, known};

    fn table(format: TableFormat, left_out: &[&str]) -> String {
        let columns = Columns::new("modelscope", &["style".to_owned()], "prompt").unwrap();
        let is_left_out = |name: &String| left_out.contains(&name.as_str());
        let form = |name| if is_left_out(name) { ColumnForm::LeftOut } else { ColumnForm::Typed };
        let forms = columns.names().iter().map(form).collect();
        let mut metadata = Metadata::new(Vec::new(), format, &columns, forms).unwrap();
        let (known, image) = (known("say \"猫\",\nloud 🐈", &[("style", "")]), artifact("images/1.png"));
        metadata.write(&columns.record(&known, &image).at("00001/1.png")).unwrap();
        String::from_utf8(metadata.finish().unwrap()).unwrap()
    }

    #[test]
    fn the_table_names_each_file_and_keeps_every_character() {
        insta::assert_snapshot!(table(TableFormat::Jsonl, &[]), @r#"{"file_name":"00001/1.png","text":"say \"猫\",\nloud 🐈","id":"07070707070707070707","prompt":"say \"猫\",\nloud 🐈","negative_prompt":null,"model":"Qwen/Qwen-Image","size":"64x48","seed":7,"steps":30,"guidance":3.5,"provider":"modelscope","task_id":"5075521","attempts":1,"submitted_at":"2027-01-15T08:00:00.000Z","finished_at":"2027-01-15T08:00:02.500Z","seconds":2.5,"width":64,"height":48,"bytes":1000,"format":"png","sha256":"abababababababababababababababababababababababababababababababab","image_url":null,"loras":null,"params":null,"style":""}"#);
        insta::assert_snapshot!(table(TableFormat::Csv, &[]), @r#"
        file_name,text,id,prompt,negative_prompt,model,size,seed,steps,guidance,provider,task_id,attempts,submitted_at,finished_at,seconds,width,height,bytes,format,sha256,image_url,loras,params,style
        00001/1.png,"say ""猫"",
        loud 🐈",07070707070707070707,"say ""猫"",
        loud 🐈",,Qwen/Qwen-Image,64x48,7,30,3.5,modelscope,5075521,1,2027-01-15T08:00:00.000Z,2027-01-15T08:00:02.500Z,2.500,64,48,1000,png,abababababababababababababababababababababababababababababababab,,,,
        "#);
    }

    #[test]
    fn a_column_that_is_left_out_is_in_no_row() {
        let left_out = ["negative_prompt", "image_url", "loras", "params", "style"];
        assert!(!table(TableFormat::Jsonl, &left_out).contains("null"));
        let csv = table(TableFormat::Csv, &left_out);
        let rows = csv::Reader::from_reader(csv.as_bytes()).into_records().collect::<Result<Vec<_>, _>>().unwrap();
        assert!(rows.len() == 1 && rows[0].iter().all(|value| !value.is_empty()), "{csv}");
    }
}
