//! Tests of the names, groups and probabilities of faults.

use super::*;

fn plan(settings: &[&str]) -> FaultPlan {
    settings.iter().map(|text| text.parse::<FaultSetting>().unwrap()).collect()
}

#[test]
fn every_name_reads_back() {
    for fault in InjectedFault::all() {
        assert_eq!(fault.to_string().parse(), Ok(fault));
        assert_eq!(plan(&[&format!("{fault}=0.25")]).probability(fault).to_bits(), 0.25_f64.to_bits());
    }
}

#[test]
fn a_group_sets_all_its_members_and_a_later_setting_wins() {
    let plan = plan(&["cut=0.5", "poll-cut=0"]);
    let likely = |fault| plan.probability(fault) > 0.0;
    assert!(likely(Submit(S::CutBefore)) && likely(Submit(S::CutAfter)) && likely(Image(I::Cut)));
    assert!(!likely(Poll(P::Cut)) && !likely(Image(I::Short)));
    assert_eq!(InjectedFault::all().filter(|fault| likely(*fault)).count(), 3);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_all() {
    let error = "submit-50=0.1".parse::<FaultSetting>().unwrap_err().to_string();
    assert!(error.starts_with("there is no fault `submit-50`; did you mean `submit-500`? the faults are "), "{error}");
    for (name, ..) in NAMES {
        assert!(error.contains(name), "{error}");
    }
    let error = "sunshine=1".parse::<FaultSetting>().unwrap_err().to_string();
    assert!(!error.contains("did you mean"), "{error}");
    assert!("cut".parse::<InjectedFault>().is_err(), "a group is not one fault");
}

#[test]
fn what_is_not_a_probability_is_refused() {
    for text in ["", "1.1", "-0.1", "NaN", "inf", "often", "5%"] {
        let error = format!("submit-500={text}").parse::<FaultSetting>();
        assert_eq!(error, Err(FaultSettingError::Probability(text.into())));
    }
    assert_eq!("submit-500".parse::<FaultSetting>(), Err(FaultSettingError::Form));
}

#[test]
fn draws_follow_the_probabilities() {
    let plan = plan(&["submit-500=0.3", "submit-html=0.2", "poll-hang=1"]);
    let mut rng = Rng::with_seed(1);
    let draws: Vec<_> = (0..10_000).map(|_| plan.draw_submit(&mut rng)).collect();
    let n = |fault| draws.iter().filter(|draw| **draw == fault).count();
    assert!((2_800..3_200).contains(&n(Some(S::Busy))), "{}", n(Some(S::Busy)));
    assert!((1_800..2_200).contains(&n(Some(S::Html))), "{}", n(Some(S::Html)));
    assert_eq!(n(None) + n(Some(S::Busy)) + n(Some(S::Html)), 10_000);
    assert!((0..100).all(|_| plan.draw_poll(&mut rng) == Some(P::Hang)), "a probability of 1 is always");
    assert!((0..100).all(|_| plan.draw_image(&mut rng).is_none()), "a probability of 0 is never");
}

#[test]
fn the_help_says_every_name_and_fits_a_terminal() {
    let help = help();
    for name in NAMES.map(|(name, ..)| name).into_iter().chain(GROUPS.map(|(name, _)| name)) {
        assert!(help.lines().any(|line| line.split_whitespace().next() == Some(name)), "{name}: {help}");
    }
    assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
}

#[test]
fn a_task_that_is_accepted_is_hidden_unless_its_id_is_told() {
    for fault in InjectedFault::all() {
        if let Submit(fault) = fault {
            assert_eq!(fault.hides_task(), fault.accepts() && fault != S::IdError, "{fault:?}");
        }
    }
}
