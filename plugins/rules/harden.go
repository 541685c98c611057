package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A look finds what the language allows and a rule does not, and changes nothing.
type look struct {
	fields map[string]bool // that are named, such as "step.id"
	tables map[string]int  // how often one is named without a field of it
	wrong  *file.Error     // the first thing found
}

func newLook() *look { return &look{fields: map[string]bool{}, tables: map[string]int{}} }

// Visit implements ast.Visitor.
func (l *look) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		l.tables[n.Value]++
		if n.Value == "$env" {
			l.refuse(n, "there is no $env here; name session, step or data")
		}
	case *ast.MemberNode:
		l.member(n)
	case *ast.BinaryNode:
		if _, written := n.Right.(*ast.StringNode); n.Operator == "matches" && !written {
			l.refuse(n.Right, "the pattern of matches must be written out as a string")
		}
	case *ast.BuiltinNode:
		// Leaving a function out of the config does not take it away when it has a predicate.
		if !slices.Contains(allowed(), n.Name) {
			l.refuse(n, fmt.Sprintf("there is no function %s here", n.Name))
		}
	case *ast.IntegerNode:
		if n.Value > maxWhole {
			l.refuse(n, fmt.Sprintf("a whole number ends at %d; write a larger one with a point, %d.0", maxWhole, n.Value))
		}
	case *ast.ArrayNode:
		l.literals(n.Nodes)
	case *ast.MapNode:
		l.refuse(n, "a rule makes no tables")
	case *ast.BytesNode:
		l.refuse(n, "a rule has no use for bytes; write a string")
	}
}

// member notes a field of a table that is named. The table itself was visited before.
func (l *look) member(n *ast.MemberNode) {
	table, isTable := n.Node.(*ast.IdentifierNode)
	field, written := n.Property.(*ast.StringNode)
	if isTable && written {
		l.tables[table.Value]--
		l.fields[table.Value+"."+field.Value] = true
	}
}

// inputs are the inputs behind the names in expressions.
var inputs = map[string]validator.Inputs{
	"session.position": validator.InputPosition, "session.steps": validator.InputSteps,
	"step.id": validator.InputStepID, "step.at": validator.InputAt, "step.timeout": validator.InputTimeout,
	"step.interval": validator.InputInterval, "step.gap": validator.InputGap,
}

// reads returns the inputs that the expression needs: the fields that it names, and all of a table
// that it names as a whole.
func (l *look) reads() (reads validator.Inputs) {
	for name, input := range inputs {
		table, _, _ := strings.Cut(name, ".")
		if l.fields[name] || l.tables[table] > 0 {
			reads |= input
		}
	}
	if _, named := l.tables["data"]; named {
		reads |= validator.InputData
	}
	return reads
}

// literals refuses a list of anything but numbers, strings and the like: lists of lists of
// lists could grow without a bound.
func (l *look) literals(nodes []ast.Node) {
	for _, node := range nodes {
		if unary, ok := node.(*ast.UnaryNode); ok {
			node = unary.Node
		}
		switch node.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.BoolNode, *ast.NilNode:
		default:
			l.refuse(node, "a list in a rule is made of numbers, strings, true, false and nil")
		}
	}
}

func (l *look) refuse(node ast.Node, message string) {
	if l.wrong == nil {
		l.wrong = &file.Error{Location: node.Location(), Message: message}
	}
}

// A harden puts bounds into an expression:
//
//   - Each round of any, all, count and the like is counted and ends with the time.
//   - A field that is missing ends the evaluation, where the language would go on with nil
//     and "data.mode != 'off'" would hold. After ?. it is nil.
//   - What + - * do is the same on machines of 32 and 64 bits, and + makes no strings.
type harden struct{}

// Visit implements ast.Visitor. Children are visited before the nodes that they are in.
func (harden) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		round := call(n.Node, roundName, &ast.IdentifierNode{Value: meterName})
		both := &ast.SequenceNode{Nodes: []ast.Node{round, n.Node}}
		both.SetLocation(n.Node.Location())
		n.Node = both
	case *ast.BinaryNode:
		if name := map[string]string{"+": addName, "-": subName, "*": mulName}[n.Operator]; name != "" {
			*node = call(n, name, n.Left, n.Right)
		}
	case *ast.MemberNode:
		if n.Optional {
			return
		}
		*node = call(n, fieldName, n.Node, n.Property, &ast.StringNode{Value: path(n)})
	}
}

// call makes the call of a function in the place of a node.
func call(instead ast.Node, name string, args ...ast.Node) *ast.CallNode {
	c := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
	c.SetLocation(instead.Location())
	c.Callee.SetLocation(instead.Location())
	return c
}

// path is how an expression names a field, such as "data.cells.voltage".
func path(node ast.Node) string {
	switch n := node.(type) {
	case *ast.IdentifierNode:
		return n.Value
	case *ast.PointerNode:
		return "#" + n.Name
	case *ast.ChainNode:
		return path(n.Node)
	case *ast.CallNode: // a strict field
		if len(n.Arguments) == 3 {
			if inner, ok := n.Arguments[2].(*ast.StringNode); ok {
				return inner.Value
			}
		}
	case *ast.MemberNode:
		switch key := n.Property.(type) {
		case *ast.StringNode:
			return path(n.Node) + "." + key.Value
		case *ast.IntegerNode:
			return fmt.Sprintf("%s[%d]", path(n.Node), key.Value)
		default:
			return path(n.Node) + "[...]"
		}
	}
	return "(...)"
}
