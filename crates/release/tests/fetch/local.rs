//! From this machine: copied, never linked.

use std::os::unix::fs::{PermissionsExt, symlink};

use ov_release::fetch::{Fetch, FetchRequest, Policy, forget};
use ov_release::{Digest, Layout};
use ov_sys::RealDisk;
use ov_types::ReleaseName;

use super::bench::{Bench, from, whole};

const PROGRAM: &[u8] = b"the program";

#[test]
fn a_file_is_copied_and_never_linked() {
    for form in ["PATH", "file://PATH", "file::PATH?checksum=DIGEST"] {
        let bench = Bench::new();
        let path = bench.write("in/called otherwise", PROGRAM);
        let shown = path.display().to_string();
        let address =
            form.replace("PATH", &shown.replace(' ', "%20")).replace("DIGEST", &Digest::of(PROGRAM).to_string());
        let staged = bench.fetch(&from(&[address])).unwrap();
        std::fs::write(&path, b"changed later").unwrap();
        assert_eq!(bench.program("v1"), PROGRAM);
        assert!(std::fs::symlink_metadata(bench.layout.releases.join("v1/bin/node")).unwrap().is_file());
        assert_eq!(staged.provenance.fetched.unwrap().address, shown);
    }
}

#[test]
fn a_link_is_followed_to_its_file() {
    let bench = Bench::new();
    let path = bench.write("in/v2", PROGRAM);
    symlink(&path, bench.path("in/latest")).unwrap();
    bench.fetch(&from(&[bench.path("in/latest").display().to_string()])).unwrap();
    assert_eq!(bench.program("v1"), PROGRAM);
}

#[test]
fn a_directory_is_copied_by_the_rules_for_archives() {
    for program in ["in/bin/node", "in/node"] {
        let bench = Bench::new();
        let path = bench.write(program, PROGRAM);
        bench.write("in/lib/a.so", b"library");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let request = from(&[bench.path("in").display().to_string()]);
        let staged = bench.fetch(&request).unwrap();
        assert_eq!(bench.program("v1"), PROGRAM);
        assert_eq!(std::fs::read(bench.layout.releases.join("v1/lib/a.so")).unwrap(), b"library");
        assert!(staged.changed && staged.provenance.fetched.is_none());
        let again = bench.fetch(&request).unwrap();
        assert!(!again.changed);
        assert_eq!(again.provenance, staged.provenance);
    }
    let bench = Bench::new();
    bench.write("in/README", b"");
    let path = bench.path("in").display().to_string();
    let error = bench.fetch(&from(std::slice::from_ref(&path))).unwrap_err();
    assert_eq!(error.to_string(), format!("url \"{path}\" result does not contain a bin/node or node file"));
}

#[test]
fn a_directory_cannot_be_compared() {
    let bench = Bench::new();
    bench.write("in/node", PROGRAM);
    let path = bench.path("in").display().to_string();
    let error = bench.fetch(&from(&[format!("{path}?checksum={}", Digest::of(PROGRAM))])).unwrap_err();
    assert!(error.to_string().contains("checksum cannot be specified for directory download"), "{error}");
    let policy = Policy { must_have_checksum: true, ..Policy::default() };
    let error = bench.fetch(&FetchRequest { policy, ..from(&[path]) }).unwrap_err();
    assert!(error.to_string().contains("the policy wants one"), "{error}");
}

#[test]
fn what_is_not_there_or_no_file_is_told() {
    let bench = Bench::new();
    let missing = bench.path("nothing").display().to_string();
    let error = bench.fetch(&from(std::slice::from_ref(&missing))).unwrap_err();
    assert_eq!(whole(&error), format!("fetch {missing}: copy it: it does not exist"));
    let error = bench.fetch(&from(&["/dev/null".to_owned()])).unwrap_err();
    assert_eq!(whole(&error), "fetch /dev/null: copy it: it is not a regular file");
}

#[test]
fn what_fetching_left_goes_when_nobody_wants_it() {
    let bench = Bench::new();
    let (v1, v2) = (ReleaseName::new("v1").unwrap(), ReleaseName::new("v2").unwrap());
    for name in ["v1", "v2"] {
        bench.write(&format!("home/releases/.fetching-{name}/download"), b"x");
    }
    forget(&RealDisk, &bench.layout, &[v1.clone()].into()).unwrap();
    assert_eq!(bench.names(), [".fetching-v1"]);
    ov_release::withdraw(&RealDisk, &bench.layout, &v1).unwrap();
    assert!(bench.names().is_empty());
    ov_release::withdraw(&RealDisk, &bench.layout, &v2).unwrap();
    forget(&RealDisk, &Layout::of_home(&bench.path("nowhere")), &[].into()).unwrap();

    let mut layout = Layout::of_home(&bench.path("home"));
    layout.placed.insert(v1, bench.path("home/genesis"));
    let left = bench.write("home/.fetching-genesis/download", b"x");
    forget(&RealDisk, &layout, &[v2].into()).unwrap();
    assert!(!left.exists(), "also of those that lie elsewhere");
}

#[test]
fn what_is_brought_is_put_while_others_put_theirs() {
    let bench = Bench::new();
    let ours = from(&[bench.write("in/a", PROGRAM).display().to_string()]);
    let mut others = ours.clone();
    others.name = ReleaseName::new("v2").unwrap();
    let (mut quiet, mut silent) = (|_| {}, |_| {});
    let mut first = Fetch::new(bench.world(&mut quiet), &bench.layout, &ours).unwrap();
    let brought = first.bring().unwrap();
    assert_eq!(bench.names(), [".fetching-v1"], "nothing but its own folder was touched");
    let mut second = Fetch::new(bench.world(&mut silent), &bench.layout, &others).unwrap();
    let also = second.bring().unwrap();
    second.put(also).unwrap();
    assert!(first.put(brought).unwrap().changed);
    assert_eq!((bench.program("v1"), bench.program("v2")), (PROGRAM.to_vec(), PROGRAM.to_vec()));

    let mut again = Fetch::new(bench.world(&mut quiet), &bench.layout, &ours).unwrap();
    let brought = again.bring().unwrap();
    assert!(!again.put(brought).unwrap().changed);
}

#[test]
fn what_people_put_there_is_not_touched() {
    let bench = Bench::new();
    let path = bench.write("in/node", PROGRAM).display().to_string();
    let theirs = bench.write("home/releases/v1/bin/node", b"theirs");
    let error = bench.fetch(&from(&[path])).unwrap_err();
    assert!(error.to_string().contains("was not staged by us"), "{error}");
    assert!(bench.progress.lock().unwrap().is_empty(), "nothing is fetched in vain");
    assert_eq!(std::fs::read(theirs).unwrap(), b"theirs");
}
