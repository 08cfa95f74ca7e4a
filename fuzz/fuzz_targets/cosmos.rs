//! Any bytes as the files and lists of a home in Cosmovisor's layout: plan file, schedule, lists of upgrades, lengths of
//! time, settings, the node's own configuration. Whatever is read is safe to use, and comes back when it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_chains::cosmos::{
    GoDuration, PlanInfo, Schedule, Recase, exported, from_file, node_config, parse_csv, parse_inline, purpose, release_of,
    skip_heights, take_config,
};

fuzz_target!(|bytes: &[u8]| {
    plans(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        lists(bytes, text);
        settings(text);
    }
});

fn plans(bytes: &[u8]) {
    if let Ok(plan) = PlanInfo::parse(bytes) {
        assert!(plan.height > 0 && !plan.name.is_empty());
        assert_eq!(PlanInfo::parse(plan.to_text().as_bytes()), Ok(plan.clone()));
        for recase in [Recase::Lower, Recase::Keep] {
            if let Ok(release) = release_of(&plan.name, recase) {
                // What becomes the name of a folder is safe as one.
                assert!(!release.as_str().contains('/') && !release.as_str().starts_with('.'));
            }
        }
    }
    if let Ok(schedule) = Schedule::parse(bytes, Recase::Lower) {
        assert!(schedule.plans().is_sorted_by_key(|plan| plan.height));
        assert_eq!(Schedule::parse(schedule.to_text().as_bytes(), Recase::Lower), Ok(schedule));
    }
}

fn lists(bytes: &[u8], text: &str) {
    for list in [parse_csv(bytes), parse_inline(text)].into_iter().flatten() {
        assert!(!list.is_empty() && list.iter().all(|entry| entry.height > 0));
    }
    let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    let _ = (purpose(&words), skip_heights(&words));
    if let Ok((Some(_), rest)) = take_config(&words) {
        assert_eq!(rest.len() + 2, words.len());
    }
}

fn settings(text: &str) {
    if let Ok(length) = text.parse::<GoDuration>() {
        assert_eq!(length.to_string().parse(), Ok(length));
    }
    let reading = from_file(text, &|_| None);
    if reading.problems.is_empty() {
        assert_eq!(from_file(&exported(&reading.settings), &|_| None), reading);
    }
    let _ = node_config(text, &[]);
}
