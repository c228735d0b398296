//! Promises about the settings of a run.

use super::*;
use crate::model::output_options::OutputOptions;
use crate::model::price::Price;
use crate::store::settings::{AccountCheck, ReadSettings, WriteSettings};

pub(super) fn the_first_account_is_kept_until_another_is_adopted<P: TestPlace>() {
    let place = P::new();
    let mut run = place.open();
    let salt = run.account_salt().unwrap();
    assert_eq!((salt.len(), run.account_salt().unwrap()), (32, salt.clone()));
    let check = |run: &mut dyn RunWriter, hash| run.settle_account(hash).unwrap();
    assert_eq!(check(&mut *run, "one"), AccountCheck::First);
    assert_eq!(check(&mut *run, "one"), AccountCheck::Same);
    assert_eq!(check(&mut *run, "two"), AccountCheck::Different);
    assert_eq!(check(&mut *run, "one"), AccountCheck::Same, "the recorded account stays");
    run.adopt_account("two").unwrap();
    drop(run);
    let mut run = place.open();
    assert_eq!((check(&mut *run, "two"), check(&mut *run, "one")), (AccountCheck::Same, AccountCheck::Different));
    assert_eq!(run.account_salt().unwrap(), salt);
    let other = P::new();
    assert_ne!(other.open().account_salt().unwrap(), salt);
}

/// Goal: listed prices follow the description, and never replace a price of the user's. Method: descriptions that change between sessions.
pub(super) fn a_listed_price_is_the_last_resort<P: TestPlace>() {
    let listed = |price: &str, day: &str| Price { listed_on: Some(day.to_owned()), ..price.parse().unwrap() };
    let place = P::new();
    let mut run = place.import(&["one"]);
    for (price, day) in [("2 USD", "2026-11-29"), ("3 USD", "2026-11-30")] {
        let listed = listed(price, day);
        assert_eq!(run.settle_price(None, Some(listed.clone())).unwrap(), Some(listed.clone()));
        assert_eq!(run.price_used().unwrap(), Some(listed));
    }
    assert_eq!(run.settle_price(None, None).unwrap(), Some(listed("3 USD", "2026-11-30")), "it is the last one known");
    let own: Price = "9 USD".parse().unwrap();
    assert_eq!(run.settle_price(Some(own.clone()), Some(listed("4 USD", "2026-12-01"))).unwrap(), Some(own.clone()));
    assert_eq!(run.settle_price(None, Some(listed("4 USD", "2026-12-01"))).unwrap(), Some(own));
}

pub(super) fn a_changed_description_is_noticed_once<P: TestPlace>() {
    let fields =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect();
    let place = P::new();
    let mut run = place.import(&["one"]);
    let first = fields(&[("submit", "1"), ("errors", "2"), ("keeps", "3")]);
    assert!(run.settle_description("relay", &first).unwrap().is_empty(), "the first one");
    assert!(run.settle_description("relay", &first).unwrap().is_empty());
    let next = fields(&[("submit", "1"), ("errors", "9"), ("poll", "4")]);
    assert_eq!(run.settle_description("relay", &next).unwrap(), ["errors", "keeps", "poll"]);
    assert!(run.settle_description("relay", &next).unwrap().is_empty(), "it was told");
}

pub(super) fn the_price_is_that_of_the_flag_or_the_manifest_or_the_last_run<P: TestPlace>() {
    let price = |price: f64| Price { by_model: [("a/b".to_owned(), price)].into(), .."1 USD".parse().unwrap() };
    let [first, second] = [2.5, 3.0].map(price);
    let place = P::new();
    let mut run = place.import(&["one", "two"]);
    assert_eq!((run.manifest_price().unwrap(), run.total_cost(&first).unwrap()), (None, Some(<_>::default())));
    assert_eq!((run.settle_price(None, None).unwrap(), run.price_used().unwrap()), (None, None));
    assert_eq!(run.settle_price(Some(first.clone()), None).unwrap(), Some(first.clone()));
    assert_eq!(run.settle_price(None, None).unwrap(), Some(first.clone()), "it was given before");
    let priced = |price| ManifestFacts { price, ..ManifestFacts::default() };
    run.import(&priced(Some(&second)), rows(&["one", "two"])).unwrap();
    let stored = (run.manifest_price().unwrap(), run.price_used().unwrap());
    assert_eq!(stored, (Some(second.clone()), Some(first.clone())));
    assert_eq!(run.settle_price(None, None).unwrap(), Some(second.clone()), "the manifest has one now");
    assert_eq!(run.settle_price(Some(first.clone()), None).unwrap(), Some(first.clone()));
    run.import(&priced(None), rows(&["one", "two"])).unwrap();
    assert_eq!((run.manifest_price().unwrap(), run.price_used().unwrap()), (None, Some(first)));
}

pub(super) fn settings_are_kept_for_the_next_session<P: TestPlace>() {
    let place = P::new();
    let mut run = place.import(&["cat", "dog"]);
    assert_eq!((run.style().unwrap(), run.results_revision().unwrap()), (None, None));
    let style = OutputOptions { naming: "{index}-{prompt}".parse().unwrap(), ..OutputOptions::default() };
    run.set_style(&style).unwrap();
    run.set_results_revision("7").unwrap();
    drop(Driven::start(run, JobScope::Unfinished).close());
    let check = |run: &dyn RunReader| {
        assert_eq!(run.style().unwrap(), Some(style.clone()));
        assert_eq!(run.results_revision().unwrap().as_deref(), Some("7"));
        assert_eq!(run.columns().unwrap(), ["note"]);
        assert_eq!(run.manifest_fingerprint().unwrap().as_deref(), Some("cat|dog"));
    };
    check(&*place.read());
    check(&*place.open());
}
