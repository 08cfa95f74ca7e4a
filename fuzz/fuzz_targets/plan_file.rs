//! Any bytes as the plan file that a node writes, and as a list that people write: plans, or reasons why there are none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_chains::plans::{PlanNames, PlanRules, PlanWriters};
use ov_daemon::scout::{Sighting, parse};

fuzz_target!(|bytes: &[u8]| {
    for writers in [PlanWriters::Node, PlanWriters::People] {
        for names in [PlanNames::AsTheyAre, PlanNames::Escaped { lowered: true }] {
            let rules = PlanRules { names, writers, ..PlanRules::default() };
            let Sighting::Found(plans, _) = parse(bytes, &rules) else { continue };
            // What becomes the name of a folder is safe as one.
            let is_safe = |name: &str| !name.contains('/') && !name.starts_with('.');
            assert!(plans.iter().all(|plan| is_safe(plan.release.as_str())));
        }
    }
});
