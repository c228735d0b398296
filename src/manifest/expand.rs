//! Makes as many drafts of an entry as it wants images, each a task of its own.

use crate::manifest::check::Checked;
use crate::model::job::Draft;

/// The drafts of an entry: equal ones, or with seeds that count up from the entry's own.
#[derive(Debug)]
pub(super) struct Expand {
    draft: Draft,
    n_left: u32,
}

impl Expand {
    pub(super) fn new(checked: Checked) -> Self {
        Self { draft: checked.draft, n_left: checked.n }
    }
}

impl Iterator for Expand {
    type Item = Draft;

    fn next(&mut self) -> Option<Draft> {
        self.n_left = self.n_left.checked_sub(1)?;
        let draft = self.draft.clone();
        if let Some(seed) = &mut self.draft.request.seed {
            *seed += 1;
        }
        Some(draft)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Request;

    fn expand(seed: Option<u64>, n: u32) -> Vec<Draft> {
        let request = Request { prompt: "a cat".into(), model: "a/b".into(), seed, ..Request::default() };
        let draft = Draft { label: Some("cat".into()), request, extras: vec![("style".into(), "ink".into())] };
        Expand::new(Checked { draft, n }).collect()
    }

    #[test]
    fn seeds_count_up_from_the_first() {
        let seeds = |drafts: Vec<Draft>| drafts.into_iter().map(|draft| draft.request.seed).collect::<Vec<_>>();
        assert_eq!(seeds(expand(Some(7), 3)), [Some(7), Some(8), Some(9)]);
        assert_eq!(seeds(expand(Some(2_147_483_647), 1)), [Some(2_147_483_647)]);
    }

    #[test]
    fn without_a_seed_the_drafts_are_equal() {
        let drafts = expand(None, 3);
        assert_eq!(drafts.len(), 3);
        assert!(drafts.iter().all(|draft| *draft == drafts[0]));
    }

    #[test]
    fn the_rest_of_the_entry_stays_as_it_is() {
        for draft in expand(Some(0), 2) {
            assert_eq!(draft.label.as_deref(), Some("cat"));
            assert_eq!(draft.extras, [("style".to_owned(), "ink".to_owned())]);
        }
    }
}
