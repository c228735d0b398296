//! Splits of a dataset: the job id selects the split of an image, so that later additions never move it.

use std::fmt;
use std::str::FromStr;

use crate::model::job::JobId;

/// Maximum number of splits of one dataset. More splits are a mistake.
const SPLITS_MAX: usize = 16;

/// Largest share: a larger one would leave nothing to the other splits.
const SHARE_MAX: f64 = 1e9;

/// Largest error of the sum of parts of one: thirds may be written as 0.33.
const SUM_ERROR_MAX: f64 = 0.015;

/// Maximum length of a name, in characters.
const NAME_CHARS_MAX: usize = 40;

/// One or several splits, each with its share.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits(Vec<(String, f64)>);

/// Error for a text that does not name splits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitsError {
    /// Text of another form.
    #[error(
        "a split is a name of letters, digits and _, such as train, or several of them with shares: train=0.9,test=0.1"
    )]
    Form,
    /// Shares that are parts of one, and are too much or too little together.
    #[error("the shares do not add up to 1; correct them, or write whole numbers as weights, such as train=9,test=2")]
    Sum,
}

impl Splits {
    /// Returns the names of the splits.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the split of the images of this job, as an index into the names.
    ///
    /// All images of a job are in the same split. Further jobs with other ids do not move them, as long as the shares
    /// stay the same.
    pub fn of(&self, job: JobId) -> usize {
        let total: f64 = self.0.iter().map(|(_, share)| share).sum();
        // The id is a hash, so its last bytes are evenly distributed.
        let [.., a, b, c, d] = *job.bytes();
        let place = f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0);
        let ends = self.0.iter().scan(0.0, |end, (_, share)| {
            *end += share;
            Some(*end / total)
        });
        // The last split takes the rest, so that rounding leaves no gap at the end.
        ends.take(self.0.len() - 1).take_while(|end| place >= *end).count()
    }
}

impl FromStr for Splits {
    type Err = SplitsError;

    fn from_str(text: &str) -> Result<Self, SplitsError> {
        let mut splits = vec![];
        let is_one = !text.contains([',', '=']);
        for part in text.split(',') {
            let (name, share) = match part.split_once('=') {
                Some((name, share)) => (name, share.trim().parse().map_err(|_| SplitsError::Form)?),
                None if is_one => (part, 1.0),
                None => return Err(SplitsError::Form),
            };
            let name = name.trim();
            let is_word = (1..=NAME_CHARS_MAX).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let is_new = !splits.iter().any(|(other, _): &(String, f64)| other.eq_ignore_ascii_case(name));
            if !(is_word && is_new && share > 0.0 && share <= SHARE_MAX) {
                return Err(SplitsError::Form);
            }
            splits.push((name.to_owned(), share));
        }
        if splits.len() > SPLITS_MAX {
            return Err(SplitsError::Form);
        }
        let sum: f64 = splits.iter().map(|(_, share)| share).sum();
        let are_parts = splits.iter().all(|(_, share)| *share <= 1.0) && splits.iter().any(|(_, share)| *share < 1.0);
        if are_parts && (sum - 1.0).abs() > SUM_ERROR_MAX { Err(SplitsError::Sum) } else { Ok(Self(splits)) }
    }
}

impl fmt::Display for Splits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(name, _)] = self.0.as_slice() {
            return f.write_str(name);
        }
        let parts: Vec<String> = self.0.iter().map(|(name, share)| format!("{name}={share}")).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Request;

    #[test]
    fn splits_are_read_as_they_are_written() {
        for text in ["train", "validation", "train=0.9,test=0.1", "a=8,b=1,c=1"] {
            assert_eq!(text.parse::<Splits>().unwrap().to_string(), text);
        }
        assert_eq!(" train = 0.9 , test=.1".parse::<Splits>().unwrap().to_string(), "train=0.9,test=0.1");
        for text in
            ["", "a b", "../x", "a=1,a=2", "a=1,A=2", "a,b", "a=1,b", "a=0,b=1", "a=-1,b=1", "a=nan,b=1", "a=x", "a=1,"]
        {
            assert_eq!(text.parse::<Splits>(), Err(SplitsError::Form), "{text:?}");
        }
        for text in ["train=0.9,test=0.2", "train=0.8,test=0.1", "train=0.5", "a=1,b=0.1"] {
            assert_eq!(text.parse::<Splits>(), Err(SplitsError::Sum), "{text:?}");
        }
        for text in ["a=0.33,b=0.33,c=0.33", "a=1,b=1", "train=9,test=2", "a=1.5,b=0.5", "train=1"] {
            assert!(text.parse::<Splits>().is_ok(), "{text:?}");
        }
    }

    /// Goal: shares are kept, and a job is always in the same split. Method: assign many ids, and compare with known
    /// results.
    #[test]
    fn a_job_belongs_to_a_split_by_its_id_alone() {
        let splits: Splits = "train=0.8,validation=0.1,test=0.1".parse().unwrap();
        let id = |n: u32| {
            let request = Request { prompt: format!("a cat {n}"), model: "m".into(), ..Request::default() };
            JobId::new(&request.content(), 0)
        };
        let mut counts = [0; 3];
        (0..10_000).for_each(|n| counts[splits.of(id(n))] += 1);
        assert!((7_850..8_150).contains(&counts[0]) && (900..1_100).contains(&counts[1]), "{counts:?}");
        assert_eq!(splits.of(JobId::from_bytes([0; 10])), 0);
        assert_eq!(splits.of(JobId::from_bytes([255; 10])), 2);
        assert_eq!("train".parse::<Splits>().unwrap().of(id(1)), 0);
        // This assignment never changes: another rule would move images from the training set to the test set.
        let of_first: Vec<usize> = (0..12).map(|n| splits.of(id(n))).collect();
        assert_eq!(of_first, [2, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0]);
    }
}
