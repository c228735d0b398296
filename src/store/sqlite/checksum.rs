//! Checksums of rows: CRC-32 over the table's name and the type, length and bytes of each value.
//!
//! `SQLite` has no checksums of its own. A flipped bit on the disk would be read as another task id or phase. Every row of the
//! ledger therefore carries a checksum. In SQL the function is `row_sum(NAME, VALUE, ...)`, on connections of this program
//! only. No schema needs the function, so other tools read the ledger as before.

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use crate::store::sqlite::task_key::task_key;

/// Returns the checksum of these values, as a number that `SQLite` stores in four bytes.
pub(super) fn of<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for value in values {
        let (kind, bytes): (u8, &[u8]) = match &value {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(number) => (1, &number.to_le_bytes()),
            ValueRef::Real(number) => (2, &number.to_bits().to_le_bytes()),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(bytes) => (4, bytes),
        };
        let mut head = [kind; 9];
        head[1..].copy_from_slice(&bytes.len().to_le_bytes());
        hasher.update(&head);
        hasher.update(bytes);
    }
    // Signed form of the same 32 bits: `SQLite` needs six bytes for the upper half of the unsigned range.
    i64::from(hasher.finalize().cast_signed())
}

/// Returns the checksum of a row of this table.
pub(super) fn of_row<'a>(table: &'a str, values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    of(std::iter::once(ValueRef::from(table)).chain(values))
}

/// Registers the functions `row_sum` and `task_key` on a connection.
pub(super) fn add_functions(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_sum", -1, flags, |context| {
        Ok(of((0..context.len()).map(|n| context.get_raw(n))))
    })?;
    connection.create_scalar_function("task_key", 1, flags, |context| Ok(task_key(context.get_raw(0).as_str()?)))
}

#[cfg(test)]
mod tests {
    use rusqlite::types::ValueRef::{Blob, Integer, Null, Real, Text};

    use super::*;

    #[test]
    fn every_value_counts_with_its_type_and_its_place() {
        let rows: [&[ValueRef<'_>]; 12] = [
            &[],
            &[Null],
            &[Null, Null],
            &[Integer(0)],
            &[Integer(1)],
            &[Real(0.0)],
            &[Text(b"")],
            &[Text(b"ab"), Text(b"c")],
            &[Text(b"a"), Text(b"bc")],
            &[Blob(b"ab"), Text(b"c")],
            &[Text(b"c"), Text(b"ab")],
            &[Text(b"abc")],
        ];
        for (n, row) in rows.iter().enumerate() {
            for other in &rows[..n] {
                assert_ne!(of(row.iter().copied()), of(other.iter().copied()), "{row:?} {other:?}");
            }
            assert_ne!(of_row("job", row.iter().copied()), of_row("event", row.iter().copied()));
        }
    }

    #[test]
    fn the_sum_in_sql_is_the_sum_in_rust() {
        let connection = Connection::open_in_memory().unwrap();
        add_functions(&connection).unwrap();
        let sql = "SELECT row_sum('job', 7, 'a cat', NULL, x'00ff', 1.5)";
        let in_sql: i64 = connection.query_row(sql, (), |row| row.get(0)).unwrap();
        assert_eq!(in_sql, of_row("job", [Integer(7), Text(b"a cat"), Null, Blob(&[0, 255]), Real(1.5)]));
        assert!(i32::try_from(in_sql).is_ok(), "it fits into four bytes");
    }

    /// Goal: one flipped bit is always detected. Method: flip each bit of a row of typical length.
    #[test]
    fn a_flipped_bit_changes_the_sum() {
        let text = b"a golden cat on a red sofa by the window, watercolour on rough paper".to_vec();
        let whole = of([Text(&text)]);
        for bit in 0..text.len() * 8 {
            let mut flipped = text.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of([Text(&flipped)]), whole, "bit {bit}");
        }
    }
}
