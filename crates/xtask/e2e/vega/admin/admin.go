// Package admin is the service that supervisors ask a core for, with members named as on the wire.
package admin

import (
	"errors"
	"net/http"
)

// ReadyForUpgradeArgs is what the method takes: nothing.
type ReadyForUpgradeArgs struct{}

// Release is an accepted one.
type Release struct {
	VegaReleaseTag     string
	UpgradeBlockHeight uint64
}

// Status is what the method gives.
type Status struct {
	AcceptedReleaseInfo *Release
	ReadyToUpgrade      bool
}

// Service always gives the same.
type Service struct {
	Fixed   Status
	Failure string
}

// UpgradeStatus is the method.
func (s *Service) UpgradeStatus(_ *http.Request, _ *ReadyForUpgradeArgs, reply *Status) error {
	if s.Failure != "" {
		return errors.New(s.Failure)
	}
	*reply = s.Fixed
	return nil
}
