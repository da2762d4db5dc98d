package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	const line = "4711 (a (b) c) S 12 4711 4711 0 -1 4194304 1 2 3 4 150 50 20 5 20 0 1 0 100 1 1"
	s, err := parseStat(line)
	if err != nil || s.parent != 12 || s.own != 2 || s.reaped != 0.25 {
		t.Errorf("%+v, error %v", s, err)
	}
	for _, bad := range []string{"", "1 (a) S 1", "1 (a) S x 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestCPUOfSelf(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc on this system: bench does not run here")
	}
	before, err := cpuOfSelf()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for now := before; now <= before; {
		if ctx.Err() != nil {
			t.Fatal("a minute of work took no time")
		}
		if now, err = cpuOfSelf(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMedianAndReport(t *testing.T) {
	t.Parallel()
	runs := []result{
		{Trades: 100, Events: 300, Seconds: 3},
		{Trades: 100, Events: 300, Seconds: 2, CPUs: 2, Load: "0.1", Postgres: "PostgreSQL 15", CPU: []usage{{"trade", 1}, {"Redis", 0.5}}},
		{Trades: 100, Events: 300, Seconds: 1},
	}
	r := median(runs)
	text := r.String()
	for _, want := range []string{
		"100 trades and the 200 events that follow, in 2.00 s: 50 trades/s, 150 events/s",
		"trade                              1.00       0.50        10000.0",
		"all                                1.50       0.75        15000.0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
}

func TestTradesAreOfAccountsInTurn(t *testing.T) {
	t.Parallel()
	o := options{trades: 10, accounts: 3, tenants: 2, sequenced: true}
	r := trade(o, 7, time.Unix(0, 0))
	got := map[string]string{}
	for _, h := range r.Headers {
		got[h.Key] = string(h.Value)
	}
	if string(r.Key) != "account-1" || got["ce_subject"] != "account-1" || got["ce_tenantid"] != "tenant-1" || got["ce_sequence"] != "3" {
		t.Errorf("key %s, headers %v", r.Key, got)
	}
}
