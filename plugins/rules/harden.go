package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A checker is a visitor that finds expressions which the language allows and a rule does not, and the
// variables that are used.
type checker struct {
	fields map[string]bool // used fields, such as "step.id"
	tables map[string]int  // number of uses of a table as a whole
	err    *file.Error     // the first one
}

func newChecker() *checker { return &checker{fields: map[string]bool{}, tables: map[string]int{}} }

// Visit implements ast.Visitor.
func (c *checker) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		c.tables[n.Value]++
		if n.Value == "$env" {
			c.refuse(n, "there is no $env here; name session, step or data")
		}
	case *ast.MemberNode:
		c.member(n)
	case *ast.BinaryNode:
		if _, written := n.Right.(*ast.StringNode); n.Operator == "matches" && !written {
			c.refuse(n.Right, "the pattern of matches must be written out as a string")
		}
	case *ast.BuiltinNode:
		// DisableAllBuiltins does not disable functions with a predicate.
		if !slices.Contains(allowed(), n.Name) {
			c.refuse(n, fmt.Sprintf("there is no function %s here", n.Name))
		}
	case *ast.IntegerNode:
		if n.Value > maxWhole {
			c.refuse(n, fmt.Sprintf("a whole number ends at %d; write a larger one with a point, %d.0", maxWhole, n.Value))
		}
	case *ast.ArrayNode:
		c.literals(n.Nodes)
	case *ast.MapNode:
		c.refuse(n, "a rule makes no tables")
	case *ast.BytesNode:
		c.refuse(n, "a rule has no use for bytes; write a string")
	}
}

// member records the use of a field. Its table was visited before.
func (c *checker) member(n *ast.MemberNode) {
	table, isTable := n.Node.(*ast.IdentifierNode)
	field, written := n.Property.(*ast.StringNode)
	if isTable && written {
		c.tables[table.Value]--
		c.fields[table.Value+"."+field.Value] = true
	}
}

// inputs maps the fields of variables to inputs.
var inputs = map[string]validator.Inputs{
	"session.position": validator.InputPosition, "session.steps": validator.InputSteps,
	"step.id": validator.InputStepID, "step.at": validator.InputAt, "step.timeout": validator.InputTimeout,
	"step.interval": validator.InputInterval, "step.gap": validator.InputGap,
}

// reads returns the inputs of the expression: the fields that it uses, and all fields of a table that it
// uses as a whole.
func (c *checker) reads() (reads validator.Inputs) {
	for name, input := range inputs {
		table, _, _ := strings.Cut(name, ".")
		if c.fields[name] || c.tables[table] > 0 {
			reads |= input
		}
	}
	if _, named := c.tables["data"]; named {
		reads |= validator.InputData
	}
	return reads
}

// literals refuses a list with elements other than literals: nested lists could grow without a bound.
func (c *checker) literals(nodes []ast.Node) {
	for _, node := range nodes {
		if unary, ok := node.(*ast.UnaryNode); ok {
			node = unary.Node
		}
		switch node.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.StringNode, *ast.BoolNode, *ast.NilNode:
		default:
			c.refuse(node, "a list in a rule is made of numbers, strings, true, false and nil")
		}
	}
}

func (c *checker) refuse(node ast.Node, message string) {
	if c.err == nil {
		c.err = &file.Error{Location: node.Location(), Message: message}
	}
}

// harden is a visitor that adds bounds to an expression:
//
//   - Each iteration of any, all, count and the like is counted and checks the deadline.
//   - A missing field ends the evaluation. In the language it is nil, so that "data.mode != 'off'"
//     would hold. After ?. it is nil.
//   - The results of + - * are the same on machines of 32 and 64 bits, and + does not join strings.
type harden struct{}

// Visit implements ast.Visitor. Children are visited before their parents.
func (harden) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.PredicateNode:
		iteration := call(n.Node, iterationName, &ast.IdentifierNode{Value: budgetName})
		both := &ast.SequenceNode{Nodes: []ast.Node{iteration, n.Node}}
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

// call returns the call of a function that replaces a node.
func call(replaced ast.Node, name string, args ...ast.Node) *ast.CallNode {
	c := &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
	c.SetLocation(replaced.Location())
	c.Callee.SetLocation(replaced.Location())
	return c
}

// path returns the name of a field in the expression, such as "data.cells.voltage".
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
