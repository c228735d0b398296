//! Value of a field: one value, or a list of values to expand.

use std::sync::Arc;

/// Values of a field: one value or a list, never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum OneOrManyValues<T> {
    One(T),
    Many(Arc<[T]>),
}

impl<T> OneOrManyValues<T> {
    /// Creates a list of values. Returns `None` for an empty list.
    pub(crate) fn many(values: Vec<T>) -> Option<Self> {
        (!values.is_empty()).then(|| Self::Many(values.into()))
    }

    /// Returns the number of values.
    pub(crate) fn n(&self) -> u64 {
        self.values().len() as u64
    }

    /// Returns the value at index `i`, from 0.
    pub(crate) fn at(&self, i: u64) -> &T {
        &self.values()[usize::try_from(i).expect("what is in memory can be counted")]
    }

    pub(crate) fn values(&self) -> &[T] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// Returns whether the values were written as a list, even if it has only one value.
    pub(crate) const fn is_list(&self) -> bool {
        matches!(self, Self::Many(_))
    }
}

impl<T: Clone> OneOrManyValues<T> {
    /// Returns the first value, or the single value.
    pub(crate) fn into_first(self) -> T {
        match self {
            Self::One(value) => value,
            Self::Many(values) => values[0].clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_and_found() {
        let many = OneOrManyValues::many(vec!["a", "b"]).unwrap();
        assert_eq!((many.n(), *many.at(1), many.is_list()), (2, "b", true));
        let one = OneOrManyValues::One("a");
        assert_eq!((one.n(), *one.at(0), one.is_list()), (1, "a", false));
        assert_eq!(OneOrManyValues::<u8>::many(vec![]), None);
        assert_eq!((one.into_first(), many.into_first()), ("a", "a"));
    }
}
