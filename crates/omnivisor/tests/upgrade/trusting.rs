//! Who is believed about a release that is fetched: those who signed it, and those who keep copies.

use std::fs;

use fakenode::Profile;
use ov_testkit::{Reply, Server};
use ov_types::Trigger;
use ov_types::record::Outcome;

use super::support::{PROGRAM, finish, names_in, running, wish};

/// A minisign key, and what it has signed: the four letters `test`.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const SIGNATURE: &[u8] = b"untrusted comment: signature from minisign secret key\n\
    RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
    trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
    wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";

#[test]
fn nothing_is_taken_but_what_one_of_the_signers_signed() {
    let server = Server::new(|question, _| match question.path.as_str() {
        "/signed" => Reply::whole(b"test"),
        "/other" | "/bare" => Reply::whole(b"tset"),
        "/signed.minisig" | "/other.minisig" => Reply::whole(SIGNATURE),
        _ => Reply::status(404),
    });
    let mut node = running(&[], &format!("[fetch]\nsigners = [\"{KEY}\"]\n"));
    let prepare = |release: &str, path: &str| {
        let said = node.omnivisor(&["upgrade", "prepare", release, "--from", &server.url(path)]);
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        // What was signed is no program, and the doctor minds that; it is in place all the same.
        (said.contains("is staged: "), said)
    };
    let (taken, said) = prepare("v2", "/signed");
    assert!(taken, "{said}");
    let shown = node.omnivisor(&["release", "show", "v2"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let signer = shown.lines().find(|line| line.starts_with("signed by")).unwrap_or(&shown);
    assert!(signer.contains("minisign"), "{signer}");
    for (release, path, code) in [("v3", "/other", "OV-FET-005"), ("v4", "/bare", "OV-FET-")] {
        let (taken, said) = prepare(release, path);
        assert!(!taken && said.contains(code) && said.contains("sig"), "{path}: {said}");
    }
    let releases = names_in(&node.path("releases")).into_iter().filter(|name| !name.starts_with('.'));
    assert_eq!(releases.collect::<Vec<_>>(), ["v1", "v1.release.json", "v2", "v2.release.json"]);
    assert!(node.stop().status.success());
}

#[test]
fn a_copy_is_fetched_where_the_address_itself_does_not_serve() {
    let folder = tempfile::tempdir().unwrap();
    Profile::new("v2").install_single_file(folder.path(), PROGRAM.as_ref()).unwrap();
    let program = fs::read(folder.path().join("bin/fakenode")).unwrap();
    let (away, empty) = (Server::new(|_, _| Reply::status(503)), Server::new(|_, _| Reply::status(404)));
    let copies = Server::new(move |question, _| Reply::file(question, &program, "\"1\""));
    let mirrors = format!("[fetch]\nmirrors = [\"{}\", \"{}\"]\n", empty.url("/a"), copies.url("/b/"));
    let node = running(&[], &mirrors);
    let plan = wish(&node, &Profile::new("v2"), Trigger::Now);
    let plan = ov_types::api::NewPlan { source: Some(away.url("/builds/node")), ..plan };
    let id = node.client().add_plan(&plan).unwrap().plan.unwrap();
    assert_eq!(node.wait_for_end(id), Outcome::Committed);
    let asked = |server: &Server| server.asked().into_iter().map(|question| question.path).collect::<Vec<_>>();
    assert!(!away.asked().is_empty(), "the address itself comes first");
    assert_eq!((asked(&empty), asked(&copies)), (vec!["/a/node".to_owned()], vec!["/b/node".to_owned()]));
    finish(node);
}
