//! Parquet shards that contain the images, with the metadata by which `datasets` and the Hub show them.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value as Json, json};

use crate::report::dataset::record::{ColumnType, Columns, Record};
use crate::report::value::{CellValue, seconds};

/// Maximum number of images in a row group. A reader that needs one image reads the whole group.
const GROUP_IMAGES_MAX: usize = 100;

/// Maximum size of the images in a row group, in bytes, unless a single image is larger. The whole group is held in
/// memory.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// Writes one Parquet shard.
pub(crate) struct ParquetShard<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: SchemaRef,
    image: BinaryBuilder,
    path: StringBuilder,
    columns: Vec<Column>,
    n_images: usize,
    n_bytes: usize,
}

enum Column {
    Text(StringBuilder),
    Whole(Int64Builder),
    Real(Float64Builder),
    Time(TimestampMillisecondBuilder),
}

impl<W: Write + Send> ParquetShard<W> {
    /// Creates a shard with these columns, preceded by `image`.
    pub(crate) fn new(out: W, columns: &Columns) -> io::Result<Self> {
        let schema = Arc::new(schema(columns));
        let bytes = ColumnPath::from(vec!["image".to_owned(), "bytes".to_owned()]);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // Images are already compressed, all different, and have no order.
            .set_column_compression(bytes.clone(), Compression::UNCOMPRESSED)
            .set_column_dictionary_enabled(bytes.clone(), false)
            .set_column_statistics_enabled(bytes, EnabledStatistics::None)
            .set_created_by(concat!("promptbatch ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(out, schema.clone(), Some(properties)).map_err(io_error)?;
        let (image, path) = (BinaryBuilder::new(), StringBuilder::new());
        let columns = columns.kinds().iter().map(|kind| Column::new(*kind)).collect();
        Ok(Self { writer, schema, image, path, columns, n_images: 0, n_bytes: 0 })
    }

    /// Adds an image and its record.
    pub(crate) fn add(&mut self, image: &[u8], record: &Record<'_>) -> io::Result<()> {
        if self.n_images == GROUP_IMAGES_MAX || (self.n_images > 0 && self.n_bytes + image.len() > GROUP_BYTES_MAX) {
            self.end_group()?;
        }
        self.image.append_value(image);
        let file_name = record.values()[0].text();
        self.path.append_value(file_name.rsplit('/').next().unwrap_or_default());
        for (column, value) in self.columns.iter_mut().zip(record.values()) {
            column.append(value);
        }
        self.n_images += 1;
        self.n_bytes += image.len();
        Ok(())
    }

    fn end_group(&mut self) -> io::Result<()> {
        let DataType::Struct(parts) = self.schema.field(0).data_type() else { unreachable!("the image is a struct") };
        let image: [ArrayRef; 2] = [Arc::new(self.image.finish()), Arc::new(self.path.finish())];
        let image: ArrayRef = Arc::new(StructArray::new(parts.clone(), image.into(), None));
        let arrays = std::iter::once(image).chain(self.columns.iter_mut().map(Column::finish)).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(io::Error::other)?;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(io_error)?;
        (self.n_images, self.n_bytes) = (0, 0);
        Ok(())
    }

    /// Returns the approximate size in bytes that the shard would have if it ended here.
    pub(crate) fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.n_bytes) as u64
    }

    /// Writes the rest, and returns the writer.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.n_images > 0 {
            self.end_group()?;
        }
        self.writer.into_inner().map_err(io_error)
    }
}

impl Column {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Whole => Self::Whole(Int64Builder::new()),
            ColumnType::Real => Self::Real(Float64Builder::new()),
            ColumnType::Time => Self::Time(TimestampMillisecondBuilder::new().with_timezone("UTC")),
        }
    }

    fn append(&mut self, value: &CellValue<'_>) {
        match (self, value) {
            (Self::Text(column), CellValue::None) => column.append_null(),
            (Self::Text(column), value) => column.append_value(value.text()),
            // A number that does not fit its column is left out, not changed.
            (Self::Whole(column), CellValue::Whole(number)) => column.append_option(i64::try_from(*number).ok()),
            (Self::Whole(column), _) => column.append_null(),
            (Self::Real(column), CellValue::Real(number)) => column.append_value(*number),
            (Self::Real(column), CellValue::Span(span)) => column.append_value(seconds(*span)),
            (Self::Real(column), _) => column.append_null(),
            (Self::Time(column), CellValue::Time(at)) => column.append_value(at.millis()),
            (Self::Time(column), _) => column.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let column: &mut dyn ArrayBuilder = match self {
            Self::Text(column) => column,
            Self::Whole(column) => column,
            Self::Real(column) => column,
            Self::Time(column) => column,
        };
        column.finish()
    }
}

fn schema(columns: &Columns) -> Schema {
    let parts =
        Fields::from(vec![Field::new("bytes", DataType::Binary, true), Field::new("path", DataType::Utf8, true)]);
    let mut fields = vec![Field::new("image", DataType::Struct(parts), true)];
    let mut features = Map::from_iter([("image".to_owned(), json!({ "_type": "Image" }))]);
    for (name, kind) in columns.names().iter().zip(columns.kinds()) {
        let (data_type, word) = match kind {
            ColumnType::Text => (DataType::Utf8, "string"),
            ColumnType::Whole => (DataType::Int64, "int64"),
            ColumnType::Real => (DataType::Float64, "float64"),
            ColumnType::Time => {
                (DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), "timestamp[ms, tz=UTC]")
            }
        };
        fields.push(Field::new(name, data_type, true));
        features.insert(name.clone(), json!({ "dtype": word, "_type": "Value" }));
    }
    let words = json!({ "info": { "features": Json::Object(features) } }).to_string();
    Schema::new(fields).with_metadata(HashMap::from([("huggingface".to_owned(), words)]))
}

fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => *cause,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::BinaryArray;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::metadata::RowGroupMetaData;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::*;
    use crate::report::fixtures::{artifact, known};

    fn shard(n: usize, bytes: usize) -> Vec<u8> {
        let columns = Columns::new("modelscope", &["style".to_owned()], "prompt").unwrap();
        let mut shard = ParquetShard::new(Vec::new(), &columns).unwrap();
        let (known, image) = (known("一只猫 🐈", &[("style", "ink")]), artifact("images/1.png"));
        for n in 0..n {
            shard.add(&vec![u8::try_from(n % 256).unwrap(); bytes], &columns.record(&known, &image)).unwrap();
        }
        shard.finish().unwrap()
    }

    fn groups(bytes: Vec<u8>) -> Vec<i64> {
        let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).unwrap();
        reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect()
    }

    #[test]
    fn row_groups_are_small_in_images_and_in_bytes() {
        assert_eq!(groups(shard(250, 10)), [100, 100, 50]);
        assert_eq!(groups(shard(5, 12 << 20)), [2, 2, 1]);
    }

    /// Goal: loaders see images and typed values. Method: read the features and the first row back.
    #[test]
    fn a_shard_tells_its_features_and_keeps_each_value() {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(shard(1, 10))).unwrap();
        let words: Json = serde_json::from_str(&reader.schema().metadata()["huggingface"]).unwrap();
        let features = &words["info"]["features"];
        assert_eq!((&features["image"]["_type"], &features["seed"]["dtype"]), (&json!("Image"), &json!("int64")));
        let batch = reader.build().unwrap().next().unwrap().unwrap();
        let text = |name: &str| format!("{:?}", batch.column_by_name(name).unwrap().slice(0, 1));
        for (name, value) in [
            ("finished_at", "2027-01-15T08:00:02.500"),
            ("seed", "7"),
            ("guidance", "3.5"),
            ("seconds", "2.5"),
            ("text", "一只猫 🐈"),
            ("style", "ink"),
        ] {
            assert!(text(name).contains(value), "{name}: {}", text(name));
        }
        let image = batch.column_by_name("image").unwrap().as_any().downcast_ref::<StructArray>().unwrap();
        let bytes = image.column_by_name("bytes").unwrap().as_any().downcast_ref::<BinaryArray>().unwrap();
        assert_eq!(bytes.value(0), [0; 10]);
    }

    #[test]
    fn the_same_images_give_the_same_bytes() {
        assert_eq!(shard(130, 1000), shard(130, 1000));
    }
}
