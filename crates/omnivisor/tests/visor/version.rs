//! `version`: ours, in both forms.

use super::place::Place;

#[test]
fn the_version_is_told_for_people_and_for_programs() {
    let place = Place::new();
    let version = format!("v0.79.0+omnivisor.{}", env!("CARGO_PKG_VERSION"));
    let human = format!("Vega Visor CLI {version} (omnivisor)\n");
    for arguments in [&["version"][..], &["version", "--output", "human"], &["--output=human", "version"]] {
        let ended = place.call(arguments);
        assert_eq!((ended.code, ended.out, ended.err), (0, human.clone(), String::new()), "{arguments:?}");
    }
    let zeta = place.call(&["version", "--flavour", "zeta"]);
    assert_eq!(zeta.out, format!("Zeta Visor CLI {version} (omnivisor)\n"));
    let json = place.call(&["version", "--output", "json"]);
    assert_eq!((json.code, json.out), (0, format!("{{\"version\":\"{version}\",\"hash\":\"omnivisor\"}}\n")));
    place.call(&["version", "--output", "yaml"]).refused("output flag must be either \"human\" or \"json\"");
}
