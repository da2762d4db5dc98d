package views

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Open connects to the Redis at a URL: redis://user:password@host:6379/0, or
// rediss:// for TLS, with go-redis' options as parameters. It is a cluster if the
// URL has addr parameters (more of its nodes) or the server says that it is one.
// Open checks that the server answers and is 6.2 or newer. Errors do not show the
// password.
func Open(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	client, err := open(ctx, rawURL)
	if err != nil {
		return nil, redacted(fmt.Errorf("opening Redis: %w", err), rawURL)
	}
	return client, nil
}

func open(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		// What url.Parse says may quote any part of the URL.
		return nil, errors.New("the URL can't be parsed (it is not shown, since it may hold a password)")
	}
	if parsed.Query().Has("addr") {
		return openCluster(ctx, rawURL)
	}
	options, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	options.MaintNotificationsConfig = noNotifications()
	client := redis.NewClient(options)
	cluster, err := probe(ctx, client)
	if err == nil && !cluster {
		return client, nil
	}
	err = errors.Join(err, client.Close())
	if err != nil {
		return nil, err
	}
	return openCluster(ctx, rawURL)
}

// CheckURL checks REDIS_URL without connecting. Its error does not show the URL,
// since that may hold a password.
func CheckURL(rawURL string) error {
	_, single := redis.ParseURL(rawURL)
	_, cluster := redis.ParseClusterURL(rawURL)
	if single != nil && cluster != nil {
		return errors.New("REDIS_URL is required: redis://user:password@host:6379/0, or rediss:// for TLS")
	}
	return nil
}

func openCluster(ctx context.Context, rawURL string) (redis.UniversalClient, error) {
	options, err := redis.ParseClusterURL(rawURL)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	options.MaintNotificationsConfig = noNotifications()
	client := redis.NewClusterClient(options)
	err = client.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		_, err := probe(ctx, master)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// noNotifications switches off what only Redis Enterprise answers.
func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// probe checks the server's version and says whether it is a node of a cluster.
func probe(ctx context.Context, client *redis.Client) (cluster bool, err error) {
	if err := client.Ping(ctx).Err(); err != nil {
		return false, err
	}
	info, err := serverInfo(ctx, client, "server", "cluster")
	if err != nil {
		return false, err
	}
	if version, ok := info["redis_version"]; ok && !atLeast(version, 6, 2) {
		return false, fmt.Errorf("the server is Redis %s; 6.2 or newer is needed", version)
	}
	return info["cluster_enabled"] == "1", nil
}

// serverInfo returns the fields of sections of INFO. A server that lacks a section
// (miniredis, which has next to none) leaves its fields out.
func serverInfo(ctx context.Context, client *redis.Client, sections ...string) (map[string]string, error) {
	fields := map[string]string{}
	for _, section := range sections {
		text, err := client.Info(ctx, section).Result()
		if err != nil {
			if strings.Contains(err.Error(), "is not supported") {
				continue
			}
			return nil, err
		}
		for line := range strings.Lines(text) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				fields[name] = value
			}
		}
	}
	return fields, nil
}

func atLeast(version string, major, minor int) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}

// redacted returns err without the password of rawURL in its text.
func redacted(err error, rawURL string) error {
	parsed, parseErr := url.Parse(rawURL)
	if parseErr != nil {
		return err
	}
	password, ok := parsed.User.Password()
	if !ok || password == "" {
		return err
	}
	text := err.Error()
	hidden := text
	for _, secret := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
		hidden = strings.ReplaceAll(hidden, secret, "xxxxx")
	}
	if hidden == text {
		return err
	}
	return errors.New(hidden)
}
