package cisco

import (
	"strings"
	"testing"
)

// TestThePasswordAnswersNothingElse holds that no other question gets it: a new
// password, say, would then be the old one.
func TestThePasswordAnswersNothingElse(t *testing.T) {
	for question, wanted := range map[string]bool{
		"Password: ":                      true,
		"(admin@core) Password for admin": true,
		"New password: ":                  false,
		"Retype new password:":            false,
		"Enter it again: ":                false,
		"Verification code: ":             false,
		"One-time password (OTP): ":       false,
	} {
		answers, err := answer("hush")("", "", []string{question}, []bool{false})
		if got := err == nil && answers[0] == "hush"; got != wanted {
			t.Errorf("%q is answered with the password: %v, want %v", question, got, wanted)
		}
		if err != nil && !strings.Contains(err.Error(), strings.TrimSpace(question)) {
			t.Errorf("%q: the error does not tell of it: %v", question, err)
		}
	}
	if _, err := answer("hush")("", "", []string{"Password:"}, []bool{true}); err == nil {
		t.Error("the password is given where it is shown")
	}
}
