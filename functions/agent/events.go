package agent

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/millrace/millrace/shared/function"
)

// maxItems bounds an agent's skills, and the feature flags.
const maxItems = 100

// SignedInV1 is the payload of agent.signed-in.v1. What it leaves out stays as
// it was.
type SignedInV1 struct {
	Name     string          `json:"name"`
	Skills   []string        `json:"skills"`
	Features map[string]bool `json:"features"`
}

// Validate implements function.Payload.
func (p SignedInV1) Validate() error {
	return cmp.Or(
		function.CheckOptionalText("name", p.Name, 200),
		checkItems("skills", p.Skills),
		checkItems("features", slices.Sorted(maps.Keys(p.Features))),
	)
}

// StatusChangedV1 is the payload of agent.status-changed.v1.
type StatusChangedV1 struct {
	Status Status `json:"status"`
	Reason string `json:"reason"`
}

// Validate implements function.Payload.
func (p StatusChangedV1) Validate() error {
	return cmp.Or(checkStatus(p.Status), function.CheckOptionalText("reason", p.Reason, 500))
}

// SkillsChangedV1 is the payload of agent.skills-changed.v1: all skills that
// the agent has from now on.
type SkillsChangedV1 struct {
	Skills []string `json:"skills"`
}

// Validate implements function.Payload.
func (p SkillsChangedV1) Validate() error {
	if p.Skills == nil {
		return errors.New("skills is missing")
	}
	return checkItems("skills", p.Skills)
}

// SignedOutV1 is the payload of agent.signed-out.v1.
type SignedOutV1 struct {
	Reason string `json:"reason"`
}

// Validate implements function.Payload.
func (p SignedOutV1) Validate() error { return function.CheckOptionalText("reason", p.Reason, 500) }

func checkStatus(s Status) error {
	switch s {
	case Available, Busy, WrapUp, Break, OfflineWork:
		return nil
	}
	return fmt.Errorf("status is %q, want available, busy, wrap-up, break or offline-work", s)
}

// checkItems checks names that may come once each.
func checkItems(member string, items []string) error {
	if len(items) > maxItems {
		return fmt.Errorf("%s has %d items, %d are allowed", member, len(items), maxItems)
	}
	known := make(map[string]bool, len(items))
	for _, item := range items {
		if err := function.CheckText("an item of "+member, item, 64); err != nil {
			return err
		}
		if known[item] {
			return fmt.Errorf("%s has %q twice", member, item)
		}
		known[item] = true
	}
	return nil
}
