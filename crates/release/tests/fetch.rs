//! Fetching releases: over the network as it is, out of every archive, through every failure.

mod fetch {
    mod archives;
    mod bench;
    mod by_name;
    mod crash;
    mod hostile;
    mod interrupted;
    mod kinds;
    mod local;
    mod trust;
    mod web;
}
