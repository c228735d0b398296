//! Number under which a task id is indexed.

/// Digits at the end of a task id that are enough to distinguish it.
const DIGITS_MIN: usize = 6;

/// Digits that always fit into a 64-bit integer.
const DIGITS_MAX: usize = 18;

/// Returns the number under which a task id is indexed. Several ids may share it, so the text decides.
///
/// Most providers count their tasks. The number at the end of such an id keeps neighbours together in the index. A commit then
/// writes few of its pages. A hash would scatter them over all of it.
pub(super) fn task_key(task: &str) -> i64 {
    let n_digits = task.bytes().rev().take_while(u8::is_ascii_digit).count();
    if n_digits >= DIGITS_MIN {
        let digits = &task[task.len() - n_digits.min(DIGITS_MAX)..];
        if let Ok(number) = digits.parse() {
            return number;
        }
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(task.as_bytes()).as_bytes()[..8]);
    i64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_counted_keep_their_order_and_others_are_spread() {
        let numbers = ["5075521", "5075522", "task-5075523", "a/5075524"].map(task_key);
        assert_eq!(numbers, [5_075_521, 5_075_522, 5_075_523, 5_075_524]);
        for id in ["", "12345", "abc", "猫", "0f8fad5b-d9cb-469f-a165-70867728950e", "x-1"] {
            assert!(!(0..1_000_000).contains(&task_key(id)), "{id}");
            assert_eq!(task_key(id), task_key(id));
        }
        assert_eq!(task_key("99999999999999999999000000000000000042"), 42, "the last digits, as many as fit");
        assert_ne!(task_key("abc"), task_key("abd"));
    }
}
