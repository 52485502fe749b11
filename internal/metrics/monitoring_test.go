package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const monitoring = "../../monitoring"

// TestShippedRulesAlert when they should, and not when not: promtool's unit tests.
func TestShippedRulesAlert(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml"}} {
		path, err := filepath.Abs(promtool)
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(path, args...)
		command.Dir = monitoring
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestShippedFilesNameMetricsThatThereAre: a rule whose metric has gone would be
// silent for ever.
func TestShippedFilesNameMetricsThatThereAre(t *testing.T) {
	known := map[string]bool{}
	for _, m := range newCatalogue().all {
		known[m.Name] = true
		if m.Kind == "histogram" {
			known[m.Name+"_bucket"], known[m.Name+"_sum"], known[m.Name+"_count"] = true, true, true
		}
	}
	for _, file := range []string{"alerts.yaml", "alerts_test.yaml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(monitoring, file))
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`routesteer_\w+`).FindAllString(string(text), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s names %s, which is not shown", file, name)
			}
		}
	}
}

// TestEveryAlertSaysWhatToDo, and how urgent it is.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(monitoring, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range strings.Split(string(text), "- alert: ")[1:] {
		name, _, _ := strings.Cut(rule, "\n")
		for _, part := range []string{"severity: ", "summary: ", "description: "} {
			if !strings.Contains(rule, part) {
				t.Errorf("%s has no %s", name, part)
			}
		}
	}
}

// TestTheDashboardsExpressionsParse, by promtool, as rules that record them.
func TestTheDashboardsExpressionsParse(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(monitoring, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	rules := "groups:\n  - name: dashboard\n    rules:\n"
	expressions := expressionsOf(dashboard)
	if len(expressions) < 20 {
		t.Fatalf("only %d expressions were found", len(expressions))
	}
	slices.Sort(expressions)
	for i, expression := range slices.Compact(expressions) {
		expression = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(expression)
		rules += fmt.Sprintf("      - {record: r%d, expr: %q}\n", i, expression)
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// expressionsOf are the values of all keys "expr" in a JSON value.
func expressionsOf(value any) (all []string) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if text, is := inner.(string); is && key == "expr" {
				all = append(all, text)
			}
			all = append(all, expressionsOf(inner)...)
		}
	case []any:
		for _, inner := range value {
			all = append(all, expressionsOf(inner)...)
		}
	}
	return all
}
