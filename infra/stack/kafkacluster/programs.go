package kafkacluster

import (
	"context"
	"crypto/sha256"
	_ "embed" // pom.xml
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/millrace/millrace/infra/stack"
	"github.com/millrace/millrace/infra/stack/process"
)

//go:embed pom.xml
var pom []byte

// minJava is the oldest Java that Kafka's brokers run on since 4.0.
// https://kafka.apache.org/documentation/#java
const minJava = 17

// Programs are what the brokers are made of.
type Programs struct {
	java string
	jars string // the folder of them
}

// Find finds Java and the jars, which it fetches if the cache does not have
// them. Its error says in one line what is missing.
func Find(ctx context.Context) (Programs, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return Programs{}, fmt.Errorf("Apache Kafka needs Java %d, and there is no java on the PATH (Debian: apt-get install default-jre-headless)", minJava)
	}
	if err := checkJava(ctx, java); err != nil {
		return Programs{}, err
	}
	jars, err := fetched(ctx)
	return Programs{java: java, jars: jars}, err
}

var javaVersion = regexp.MustCompile(`version "(\d+)`)

func checkJava(ctx context.Context, java string) error {
	out, err := process.Run(ctx, process.Spec{Path: java, Args: []string{"-version"}})
	if err != nil {
		return err
	}
	found := javaVersion.FindStringSubmatch(out)
	if found == nil {
		return fmt.Errorf("%s does not say which Java it is", java)
	}
	if major, err := strconv.Atoi(found[1]); err != nil || major < minJava {
		return fmt.Errorf("Apache Kafka needs Java %d, and %s is Java %s", minJava, java, found[1])
	}
	return nil
}

// fetched returns the folder of the jars that pom.xml names. It is filled beside
// its place and moved there when it is whole: a crash leaves nothing that looks
// complete.
func fetched(ctx context.Context) (string, error) {
	cache, err := stack.CacheDir()
	if err != nil {
		return "", err
	}
	unlock, err := process.Lock(filepath.Join(cache, "kafka.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	jars := filepath.Join(cache, fmt.Sprintf("kafka-%x", sha256.Sum256(pom))[:18])
	if _, err := os.Stat(jars); err == nil {
		return jars, nil
	}
	unfinished := jars + ".unfinished"
	if err := errors.Join(os.RemoveAll(unfinished), os.MkdirAll(unfinished, 0o755)); err != nil {
		return "", err
	}
	if err := fetch(ctx, unfinished); err != nil {
		return "", err
	}
	return jars, os.Rename(unfinished, jars)
}

func fetch(ctx context.Context, dir string) error {
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return errors.New("Apache Kafka's jars are fetched by Maven, and there is no mvn on the PATH (Debian: apt-get install maven)")
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), pom, 0o644); err != nil {
		return err
	}
	_, err = process.Run(ctx, process.Spec{Path: maven, Dir: dir, Args: []string{
		"-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=" + dir,
	}})
	if err != nil {
		return fmt.Errorf("fetching Apache Kafka's jars: %w", err)
	}
	return nil
}
